"""The time quality that frames state, against the tables of C37.118.2; every decade, its ends and its middle."""

from timebase.quality import quality

MSG_TQ_US = {4: 1, 5: 10, 6: 100, 7: 1000, 8: 10000, 9: 100000, 10: 1000000, 11: 10000000}  # Table 3: within
PMU_TQ_US = {1: 0.1, 2: 1, 3: 10, 4: 100, 5: 1000, 6: 10000}  # STAT bits 8-6: less than; 7: more, or unknown

assert quality(None) == quality(10000001) == quality(1 << 40) == (0x0F, 0x21C0)
for error_us, tq, pmu_tq in (
    (0, 4, 3), (1, 4, 3), (2, 5, 4), (10, 5, 4), (11, 6, 5), (100, 6, 5), (101, 7, 6), (1000, 7, 6),
    (1001, 8, 7), (10000, 8, 7), (10001, 9, 7), (1000000, 10, 7), (1000001, 11, 7), (10000000, 11, 7),
    (0.5, 4, 3), (10.5, 6, 5),
):  # fmt: skip
    assert quality(error_us) == (tq, 0x2000 | pmu_tq << 6), error_us
for decade in range(8):
    for tenth in range(1, 100):
        error_us = tenth * 10**decade // 10
        if error_us <= 10000000:
            tq, stat = quality(error_us)
            assert error_us <= MSG_TQ_US[tq], error_us
            assert tq == 4 or error_us > MSG_TQ_US[tq - 1], error_us  # the best that is true
            assert stat & ~0x1C0 == 0x2000  # bit 13 whenever MSG_TQ is not 0
            assert stat >> 6 & 7 == 7 or error_us < PMU_TQ_US[stat >> 6 & 7], error_us
