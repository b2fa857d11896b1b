"""Runs on MicroPython: the firmware's estimator over a .gmr recording. Started by `gridmote estimate`.

    estimate.py RECORDING RESULT F0_HZ RATE START_NS

Writes for each frame int32 seconds, int32 frame number and the estimator's four values per channel, and
prints how many samples are done, about once for each second of the recording. START_NS: the first sample is
taken so long after a whole second.
"""

import array
import sys

from phasor.estimator import Estimator
from waveform.gmr import read_head


def main(recording, result, f0_hz, rate, start_ns):
    with open(recording, "rb") as file, open(result, "wb") as out:
        head, at = read_head(recording, file)
        fs_hz, channels = head["fs_hz"], len(head["channels"])
        file.seek(at)
        block = array.array("h", bytes(2 * channels * (fs_hz // 10)))
        values = array.array("i", bytes(16 * channels))
        stamp = array.array("i", (0, 0))
        estimator = Estimator(fs_hz, f0_hz, rate, channels, fs_hz // 10, values)
        done = told = 0
        while True:
            n = file.readinto(block) // (2 * channels)
            if not n:
                break
            ns = start_ns + done % fs_hz * 1000000000 // fs_hz
            estimator.push(block, n, done // fs_hz + ns // 1000000000, ns % 1000000000)
            done += n
            while estimator.next():
                stamp[0] = estimator.sec
                stamp[1] = estimator.frame
                out.write(stamp)
                out.write(values)
            if done - told >= fs_hz:
                told = done
                print(done)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
