// Why an address of the queue cannot be used, with the remedy where there is one.
// SPDX-License-Identifier: Apache-2.0

/// Why an address cannot be used.
package struct QueueAddressError: Error, Sendable, Hashable, CustomStringConvertible {
    package var address: String
    package var reason: String

    package init(_ address: String, _ reason: String) {
        self.address = address
        self.reason = reason
    }

    package var description: String { "\(address): \(reason)" }
}

extension QueueAddressError {
    /// What libzmq says when an address is bound or connected to.
    init(bindingOrConnecting endpoint: QueueEndpoint, _ error: ZMQError) {
        let reason =
            switch error {
            case .addressInUse: "the address is in use; stop the other process or choose another"
            case .noSuchDevice:
                "no network interface has this name, and names of hosts cannot be bound; write an "
                    + "address of this machine, for example 127.0.0.1 or [::1]"
            case .addressNotAvailable:
                "no network interface of this machine has this address; `ip address` shows them"
            case .notPermitted:
                "this process may not use the address; ports below 1024 need a privilege"
            case .familyNotSupported: "IPv6 is switched off on this machine; use an IPv4 address"
            default: "\(error)"
            }
        self.init(endpoint.address, reason)
    }
}
