// How much memory this process has had. What the engine holds is counted by the engine.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum ProcessMemory {
    /// The most bytes that were ever resident at once, shared libraries included; 0 if the system does not say.
    package static func peakBytes() -> Int {
        var usage = rusage()
        let isKnown = unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0
        // Linux counts in KiB.
        return isKnown ? usage.ru_maxrss * 1024 : 0
    }
}
