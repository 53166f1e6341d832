// Addresses and their prefixes, and what is refused.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Testing

@Suite struct QueueEndpointTests {
    @Test func prefixesSetTheDirection() throws {
        let plain = try QueueEndpoint(parsing: "tcp://127.0.0.1:5601", default: .bind)
        #expect(plain.direction == .bind)
        #expect(plain.address == "tcp://127.0.0.1:5601")
        let turned = try QueueEndpoint(parsing: "connect:tcp://127.0.0.1:5601", default: .bind)
        #expect(turned.direction == .connect)
        #expect(turned.description == "connect:tcp://127.0.0.1:5601")
        let path = try QueueEndpoint(parsing: "bind:ipc:///run/llorch/w1", default: .connect)
        #expect(path.direction == .bind)
        #expect(path.path == "/run/llorch/w1")
    }

    @Test(arguments: [
        "tcp://*:5601", "tcp://0.0.0.0:5601", "tcp://192.168.1.4:5601", "tcp://eth0:5601",
        "tcp://[::]:5601", "tcp://127.0.0.1.example.org:5601", "tcp://127.1:5601",
        "tcp://[2001:db8::7]:5601", "tcp://[fe80::1%eth0]:5601", "tcp://[::ffff:10.0.0.1]:5601",
    ])
    func listeningBeyondTheMachineIsRefused(address: String) throws {
        do throws(QueueAddressError) {
            _ = try QueueEndpoint(parsing: address, default: .bind)
            Issue.record("\(address) was taken")
        } catch {
            #expect(error.address == address)
            #expect(error.reason.hasPrefix("refusing to listen beyond this machine"))
            #expect(error.reason.contains("--curve-secret-key"))
        }
        let exposed = try QueueEndpoint(parsing: address, default: .bind, mayBeExposed: true)
        #expect(exposed.isExposed)
        #expect(!exposed.isElsewhere)
        if !address.contains("*") {
            let elsewhere = try QueueEndpoint(parsing: address, default: .connect)
            #expect(elsewhere.isElsewhere)
            #expect(!elsewhere.isExposed)
        }
    }

    @Test(arguments: [
        "tcp://127.0.0.1:5601", "tcp://127.255.0.9:1", "tcp://localhost:65535", "tcp://[::1]:5601",
        "tcp://lo:5601", "tcp://127.0.0.1:*", "ipc:///tmp/x", "inproc://x", "tcp://[::1]:*",
        "tcp://[0:0:0:0:0:0:0:1]:5601", "tcp://[::ffff:127.0.0.1]:5601",
    ])
    func listeningOnTheMachineIsTaken(address: String) throws {
        #expect(try !QueueEndpoint(parsing: address, default: .bind).isExposed)
    }

    @Test(arguments: [
        "", "bind:", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536", "tcp://127.0.0.1:x", "tcp://:5601", "ipc://", "udp://127.0.0.1:1",
        "127.0.0.1:5601", "inproc://", "ipc://" + String(repeating: "x", count: 108),
        "tcp://[::1:5601", "tcp://[::zz]:5601", "tcp://1:2:3:5601", "tcp://[]:5601",
        "tcp://[example.org]:5601",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(throws: QueueAddressError.self) {
            try QueueEndpoint(parsing: text, default: .bind)
        }
    }

    @Test func everyAddressOfTheMachineIsAWildcard() throws {
        for host in ["*", "0.0.0.0", "[::]", "[0::0]"] {
            let endpoint = try QueueEndpoint(
                parsing: "tcp://\(host):5601", default: .bind, mayBeExposed: true)
            #expect(endpoint.isWildcard, "\(host)")
        }
        #expect(try !QueueEndpoint(parsing: "tcp://[::1]:5601", default: .bind).isWildcard)
    }

    @Test func onlyNumericHostsHaveAFamily() throws {
        for (address, family) in [
            ("tcp://127.0.0.1:1", IPFamily.v4), ("tcp://[::1]:1", .v6),
            ("tcp://example.org:1", nil), ("ipc:///tmp/x", nil),
        ] {
            #expect(try QueueEndpoint(parsing: address, default: .connect).family == family)
        }
        #expect(try QueueEndpoint(parsing: "tcp://w1:1", default: .connect).name == "w1")
        #expect(try QueueEndpoint(parsing: "tcp://[::1]:1", default: .connect).name == nil)
    }

    @Test func portsOfOutgoingConnectionsAreWarnedAbout() throws {
        let low = try QueueEndpoint(parsing: "tcp://127.0.0.1:32767", default: .bind)
        #expect(low.warning == nil)
        let high = try QueueEndpoint(parsing: "tcp://127.0.0.1:32768", default: .bind)
        #expect(high.warning?.contains("32768") == true)
        for socket in QueueSocket.allCases {
            let endpoint = try QueueEndpoint(
                parsing: socket.defaultAddress, default: socket.defaultDirection)
            #expect(endpoint.warning == nil)
        }
    }
}
