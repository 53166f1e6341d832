// The `Date` header to the letter, and that it is made once a second.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LlorchHTTP
import Synchronization
import Testing

@Suite struct HTTPDateTests {
    /// By date(1): `date -u -d @N '+%a, %d %b %Y %H:%M:%S GMT'`.
    @Test(
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] as [(Int64, String)])
    func secondsAreSpelled(second: Int64, text: String) {
        #expect(HTTPDate.text(second) == text)
    }

    @Test func theTextFollowsTheClock() {
        let seconds = Mutex(784_111_777.25)
        let date = HTTPDate(clock: {
            Date(timeIntervalSince1970: seconds.withLock { $0 })
        })
        #expect(date.text == "Sun, 06 Nov 1994 08:49:37 GMT")
        seconds.withLock { $0 += 0.7 }
        #expect(date.text == "Sun, 06 Nov 1994 08:49:37 GMT")
        seconds.withLock { $0 += 0.1 }
        #expect(date.text == "Sun, 06 Nov 1994 08:49:38 GMT")
    }
}
