"""Units of prices. A price is an integer: minor units of the currency (cent, penny) per MWh; nothing is a float."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from gridmote.fault import Fault

_ENERGY = {"kwh": 1000, "mwh": 1}  # how many in a MWh
_WORDS = {  # money as it is written: (currency, minor units in one)
    "p": ("GBP", 1), "pence": ("GBP", 1), "£": ("GBP", 100), "€": ("EUR", 100), "$": ("USD", 100),
    "ct": ("EUR", 1), "cent": ("EUR", 1), "cents": ("EUR", 1), "eurocent": ("EUR", 1), "euro": ("EUR", 100),
}
_MINOR = {"GBP": "p", "EUR": "ct", "USD": "ct"}
_UNDIVIDED = ("JPY", "KRW", "ISK", "CLP")  # ISO 4217: no minor unit
_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_CODES = (
    "AED ALL ARS AUD BAM BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EUR GBP GEL HKD HUF IDR ILS INR IQD ISK JOD JPY "
    "KES KRW KWD LYD MAD MDL MKD MXN MYR NOK NZD OMR PEN PHP PLN RON RSD SAR SEK SGD THB TND TRY TWD UAH USD "
    "VND ZAR"
)
_NUMBER = re.compile(r"[+-]?[0-9]{1,24}(?:[.,][0-9]{1,24})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_EXAMPLES = "p/kWh, ct/kWh, EUR/MWh, EUR/kWh, GBP/MWh"


class Unit(NamedTuple):
    text: str  # as it was given
    factor: int  # minor units per MWh in one of it
    minor: str  # name of the minor unit
    currency: str  # ISO 4217

    def exact(self, price):
        """Minor units per MWh -> text in this unit, with all digits that it needs and at least two."""
        whole, part = divmod(abs(price), self.factor)
        digits = len(str(self.factor)) - 1
        shown = f"{part:0{digits}d}" if digits else ""
        while len(shown) > 2 and shown.endswith("0"):
            shown = shown[:-1]
        return f"{'-' if price < 0 else ''}{whole}{'.' if shown else ''}{shown}"

    def short(self, price):
        """The same with two digits behind the point; `price` may be a Fraction."""
        hundredths = round(Fraction(price) * 100 / self.factor)
        whole, part = divmod(abs(hundredths), 100)
        return f"{'-' if hundredths < 0 else ''}{whole}.{part:02d}"


def unit_of(text):
    """`EUR/MWh` -> Unit; Fault."""
    found = find_unit(text)
    if found is None:
        raise Fault(f"unit {text!r}: expected money/energy, such as {_EXAMPLES}")
    return found


def find_unit(text):
    """Unit that `text` is, None if it is none."""
    money, slash, energy = (part.strip() for part in text.partition("/"))
    many = _ENERGY.get(energy.lower())
    if not slash or many is None:
        return None
    if money.lower() in _WORDS:
        currency, minor = _WORDS[money.lower()]
    elif len(money) == 3 and money.upper() in _CODES.split():
        currency = money.upper()
        minor = 1 if currency in _UNDIVIDED else 1000 if currency in _THOUSANDTHS else 100
    else:
        return None
    name = _MINOR.get(currency) or (currency if minor == 1 else f"{currency}/{minor}")
    return Unit(f"{money}/{'kWh' if many > 1 else 'MWh'}", minor * many, name, currency)


def unit_in(title):
    """Unit that the title of a column tells, such as `price_eur_per_mwh` or `Price [EUR/MWh]`; None."""
    found = re.search(r"([A-Za-z]+|[£€$])[\s_]*(?:/|_per_| per |_)[\s_]*([kKmM][wW][hH])(?![A-Za-z])", title)
    return find_unit(f"{found[1]}/{found[2]}") if found else None


def is_number(text):
    return bool(_NUMBER.fullmatch(text))


def price_of(text, unit):
    """-> (minor units per MWh, whether it had to be rounded to them); ValueError. A comma is a decimal one."""
    if not is_number(text):
        raise ValueError(f"price {text[:40]!r}: not a number")
    exact = Fraction(Decimal(text.replace(",", "."))) * unit.factor
    return round(exact), exact.denominator != 1
