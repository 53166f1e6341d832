// What the command line of the shim says, as plain values, and which combinations make sense. Spelling and help:
// the executable llorch-http-shim. What follows from the arguments: ShimOptions.swift, ShimProcess.swift.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import LlorchQueue

/// What is wrong with arguments, in one sentence.
package struct ShimArgumentsError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

package struct ShimArguments: Sendable {
    package var host = "127.0.0.1"
    package var port: UInt16 = 3_000
    package var tokenFile: String?
    package var allowedHosts: [String] = []
    package var allowedOrigins: [String] = []
    package var events = QueueSocket.dispatcherEvents.defaultAddress
    package var workers: [Worker] = []
    package var keyFiles = QueueKeyFiles(secretKey: nil, allowedKeys: nil, serverKey: nil)
    /// Addresses beyond this machine are allowed without keys or token.
    package var isInsecure = false
    package var backlog = 1_000
    package var drainTimeout = Duration.seconds(5)

    package init() {}

    /// `name=jobs,control`: how one worker is reached.
    package struct Worker: Sendable {
        package let name: String
        package let addresses: WorkerAddresses

        package init(parsing argument: String) throws(ShimArgumentsError) {
            let parts = argument.split(separator: "=", maxSplits: 1)
            let addresses = parts.last?.split(separator: ",", omittingEmptySubsequences: false)
            guard parts.count == 2, let addresses, addresses.count == 2 else {
                throw ShimArgumentsError("expected name=jobs,control")
            }
            for address in addresses {
                do {
                    _ = try QueueEndpoint(parsing: String(address), default: .connect)
                } catch {
                    throw ShimArgumentsError("\(error)")
                }
            }
            name = String(parts[0])
            self.addresses = WorkerAddresses(
                jobs: String(addresses[0]), control: String(addresses[1]))
        }
    }

    /// The options that follow from the arguments alone: no file has been read.
    package func options() throws(ShimArgumentsError) -> ShimOptions {
        guard (1...1_000_000).contains(backlog) else {
            throw ShimArgumentsError("--backlog \(backlog): expected 1 to 1000000")
        }
        guard !host.isEmpty else {
            throw ShimArgumentsError("--host: expected an address, for example 127.0.0.1")
        }
        if tokenFile == nil, Self.tokenInEnvironment == nil, !isInsecure, !isLoopback {
            throw ShimArgumentsError(
                "--host \(host): refusing to listen beyond this machine without a token: give "
                    + "--token-file, or listen on 127.0.0.1")
        }
        let endpoint: QueueEndpoint
        do {
            endpoint = try QueueEndpoint(
                parsing: events, default: .bind, mayBeExposed: keyFiles.isUsed || isInsecure)
        } catch {
            throw ShimArgumentsError("--events \(error)")
        }
        if let problem = keyFiles.problem(for: [endpoint]) { throw ShimArgumentsError(problem) }
        var options = ShimOptions(events: endpoint)
        options.host = bareHost
        options.port = Int(port)
        options.allowedHosts = allowedHosts
        do {
            options.allowedOrigins = try allowedOrigins.map(AllowedOrigin.init(parsing:))
        } catch {
            throw ShimArgumentsError("--allowed-origin \(error)")
        }
        options.queue.dispatcher.backlog = backlog
        options.drainTimeout = drainTimeout
        for worker in workers { options.queue.addresses[worker.name] = worker.addresses }
        return options
    }

    /// Whether only this machine reaches the port.
    package var isLoopback: Bool { QueueEndpoint.isLoopback(host[...]) }

    /// The host without the brackets in which an IPv6 address may stand.
    private var bareHost: String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    }

    /// Reads the token.
    ///
    /// - Throws: for a token that cannot be used, because a server must not be open by mistake.
    package func token() throws(AccessTokenError) -> AccessToken? {
        if let tokenFile { return try AccessToken(file: tokenFile) }
        guard let text = Self.tokenInEnvironment else { return nil }
        return try AccessToken(Array(text.utf8), from: Self.tokenVariable)
    }

    private static let tokenVariable = "LLORCH_API_TOKEN"
    private static var tokenInEnvironment: String? {
        ProcessInfo.processInfo.environment[tokenVariable]
    }
}
