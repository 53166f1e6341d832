// Numeric addresses as people write them.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", IPFamily.v4, true, false), ("127.255.0.9", .v4, true, false),
        ("10.0.0.1", .v4, false, false), ("0.0.0.0", .v4, false, true),
        ("::1", .v6, true, false), ("[::1]", .v6, true, false), ("[::]", .v6, false, true),
        ("::ffff:127.0.0.1", .v6, true, false), ("::ffff:10.0.0.1", .v6, false, false),
        ("::ffff:0.0.0.0", .v6, false, true), ("fe80::1%eth0", .v6, false, false),
        ("2001:db8::1", .v6, false, false),
    ])
    func numbers(text: String, family: IPFamily, isLoopback: Bool, isWildcard: Bool) throws {
        let address = try #require(IPAddress(text))
        #expect(address.family == family)
        #expect(address.isLoopback == isLoopback)
        #expect(address.isWildcard == isWildcard)
    }

    @Test(arguments: [
        "", "localhost", "127.1", "127.0.0.1.example.org", "[::1", "::zz", "1.2.3.256", "[]", "*",
        "::1\u{0}",
    ])
    func namesAndMistakes(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func theNameOfTheLoopbackIsKnown() {
        #expect(!HostName.families(of: "localhost").isEmpty)
        #expect(HostName.families(of: "no-such-host.invalid").isEmpty)
    }
}
