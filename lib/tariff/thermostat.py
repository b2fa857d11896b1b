"""Heating or cooling that follows the price within comfort: a shifted set point, and a switch with hysteresis.

Temperatures are integers of any one unit, such as hundredths of a degree.
"""


def set_point(price, prices, normal, saving, storing, level=0):
    """The set point at a price among `prices` of the time ahead.

    normal: at their mean; saving: the comfort limit for the dearest of them (heating: the low one); storing: the
    one for the cheapest; in between in proportion. Without prices it is `normal`, in an emergency (level 1 to 3)
    `saving`.
    """
    if level:
        return saving
    if price is None or not len(prices):
        return normal
    low, high = min(prices), max(prices)
    mean = sum(prices) // len(prices)
    price = min(max(price, low), high)
    if price > mean:
        return normal + (saving - normal) * (price - mean) // (high - mean)
    return normal + (storing - normal) * (mean - price) // (mean - low) if low < mean else normal


def switch(on, for_s, temperature, aim, band, cooling=False, rest_s=0):
    """Whether to run now, if it has been `on` (or not) for for_s seconds.

    It starts when the temperature is more than half of `band` on the wrong side of `aim`, stops as far on the other
    side, and does neither before rest_s. Without a temperature (None) it stops at once.
    """
    if temperature is None:
        return False
    lack = 2 * (temperature - aim if cooling else aim - temperature)
    if for_s < rest_s or -band <= lack <= band:
        return on
    return lack > 0
