"""Sources: a battery that buys low and sells high within its state of charge, solar power that stops below zero."""


def thresholds(prices, loss_percent=15):
    """(low, high): charge at low and below, discharge at high and above: a quarter of the prices ahead each.

    (None, None) if there are no prices, or if a Wh bought at low and sold at high does not pay for the loss.
    """
    order = sorted(prices)
    if not order:
        return None, None
    quarter = (len(order) - 1) // 4
    low, high = order[quarter], order[-1 - quarter]
    return (low, high) if high * (100 - loss_percent) > low * 100 else (None, None)


def battery(price, low, high, stored_wh, bounds, powers, step_s, load_w=0, limit_w=None, level=0):
    """W for the next step_s seconds: above 0 to charge, below 0 to discharge.

    low, high: of `thresholds`; price: None if there is none. bounds: (least, most) Wh to be stored; what step_s
    seconds move stays within. powers: most W of (charge, discharge). load_w: what else is drawn here; with it a
    charge stays within limit_w, and what is above limit_w comes out of the battery. It charges below a price of
    zero; in an emergency (level 1 to 3) it gives what it can.
    """
    give_w = min(powers[1], max(stored_wh - bounds[0], 0) * 3600 // step_s)
    take_w = min(powers[0], max(bounds[1] - stored_wh, 0) * 3600 // step_s)
    if limit_w is not None and load_w >= limit_w:
        take_w, floor_w = 0, load_w - limit_w
    else:
        take_w, floor_w = take_w if limit_w is None else min(take_w, limit_w - load_w), 0
    if level or price is not None and high is not None and price >= high and price >= 0:
        return -give_w
    if take_w and price is not None and (price < 0 or low is not None and price <= low):
        return take_w
    return -min(give_w, floor_w)


def solar(price, made_w, level=0):
    """W that solar panels may give of made_w: nothing below a price of zero, but everything in an emergency."""
    return 0 if price is not None and price < 0 and not level else made_w
