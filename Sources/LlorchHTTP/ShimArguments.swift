// The settings of the shim as plain values, and which combinations make sense. Names and defaults: ShimSettings.swift.
// What follows from the values: ShimOptions.swift, ShimProcess.swift.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import LlorchConfiguration
package import LlorchQueue
import LlorchSystem

package struct ShimArguments: Sendable {
    private let settings: Settings
    private let host: String
    private let port: Int
    private let allowedHosts: [String]
    private let allowedOrigins: [AllowedOrigin]
    private let events: String
    private let workers: [Worker]
    package let keyFiles: QueueKeyFiles
    /// Addresses beyond this machine are allowed without keys or token.
    private let isInsecure: Bool
    private let backlog: Int
    private let drainTimeout: Duration
    private let limits: JobLimits
    private let callback: ReadyCallback.Options
    /// Given by starters that start workers with and without one; a worker on a CPU has none.
    package let gpuDevice: String?

    /// Reads the merged settings; opens and reads no file.
    package init(_ settings: Settings) throws(SettingError) {
        self.settings = settings
        host = settings.text("host") ?? ""
        port = try settings.number("port", in: 0...65_535) ?? 0
        allowedHosts = settings.list("allowed-host")
        do {
            allowedOrigins = try settings.list("allowed-origin").map(AllowedOrigin.init(parsing:))
        } catch {
            throw settings.problem("allowed-origin", "\(error)")
        }
        events = settings.text("events") ?? ""
        var workers: [Worker] = []
        for text in settings.list("worker") {
            do {
                workers.append(try Worker(parsing: text))
            } catch {
                throw settings.problem("worker", error.description)
            }
        }
        self.workers = workers
        keyFiles = QueueKeyFiles(
            secretKey: settings.text("curve-secret-key"),
            allowedKeys: settings.text("curve-allowed-keys"),
            serverKey: settings.text("curve-server-key"))
        isInsecure = try settings.isOn("insecure-bind")
        backlog = try settings.number("backlog", in: 1...1_000_000) ?? 1
        drainTimeout =
            try settings.value("drain-timeout", expected: "0 to 86400 seconds") {
                Duration(seconds: $0, atMost: 86_400)
            } ?? .zero
        limits = try JobLimits(settings)
        callback = try ReadyCallback.Options(settings)
        gpuDevice = settings.text("gpu-device")
        _ = try settings.number("gpu-device", in: 0...Int(Int32.max))
    }

    /// `name=jobs,control`: how one worker is reached.
    private struct Worker: Sendable {
        let name: String
        let addresses: WorkerAddresses

        struct Problem: Error {
            let description: String
        }

        init(parsing argument: String) throws(Problem) {
            let parts = argument.split(separator: "=", maxSplits: 1)
            let addresses = parts.last?.split(separator: ",", omittingEmptySubsequences: false)
            guard parts.count == 2, let addresses, addresses.count == 2 else {
                throw Problem(description: "expected name=jobs,control")
            }
            for address in addresses {
                do {
                    _ = try QueueEndpoint(parsing: String(address), default: .connect)
                } catch {
                    throw Problem(description: "\(error)")
                }
            }
            name = String(parts[0])
            self.addresses = WorkerAddresses(
                jobs: String(addresses[0]), control: String(addresses[1]))
        }
    }

    /// The options that follow from the settings alone: no file has been read.
    package func options() throws(SettingError) -> ShimOptions {
        guard !host.isEmpty else {
            throw settings.problem("host", "expected an address, for example 127.0.0.1")
        }
        if !hasToken, !isInsecure, !isLoopback {
            throw settings.problem(
                "host",
                "refusing to listen beyond this machine without a token: give --token-file, or listen "
                    + "on 127.0.0.1")
        }
        let endpoint: QueueEndpoint
        do {
            endpoint = try QueueEndpoint(
                parsing: events, default: .bind, mayBeExposed: keyFiles.isUsed || isInsecure)
        } catch {
            throw settings.problem(of: ["events"], "--events \(error)")
        }
        if let problem = keyFiles.problem(for: [endpoint]) {
            throw settings.problem(
                of: ["curve-secret-key", "curve-allowed-keys", "curve-server-key"], problem)
        }
        var options = ShimOptions(events: endpoint)
        options.host = bareHost
        options.port = port
        options.allowedHosts = allowedHosts
        options.allowedOrigins = allowedOrigins
        options.limits = limits
        options.callback = callback
        options.queue.dispatcher.backlog = backlog
        options.queue.maximumPromptTokens = limits.maximumPromptTokens
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

    // MARK: - The token

    /// Reads the token.
    ///
    /// The file that a configuration file names is less than the variable, as with every other setting.
    ///
    /// - Throws: for a token that cannot be used, because a server must not be open by mistake.
    package func token() throws(AccessTokenError) -> AccessToken? {
        if let file = settings["token-file"], let path = file.texts.first {
            if case .file = file.source, Self.tokenInEnvironment != nil {
                // The variable counts more.
            } else {
                return try AccessToken(file: path)
            }
        }
        guard let text = Self.tokenInEnvironment else { return nil }
        return try AccessToken(Array(text.utf8), from: Self.tokenVariable)
    }

    private var hasToken: Bool {
        settings["token-file"] != nil || Self.tokenInEnvironment != nil
    }

    private static let tokenVariable = "LLORCH_API_TOKEN"
    private static var tokenInEnvironment: String? {
        ProcessInfo.processInfo.environment[tokenVariable]
    }

    // MARK: - Printing

    /// The merged settings as YAML; the token itself is in no line.
    package func printed(program: String) -> String {
        let notes =
            Self.tokenInEnvironment == nil
            ? [] : ["\(Self.tokenVariable) is set; its value is not shown."]
        return settings.yaml(of: program, notes: notes)
    }
}

extension ReadyCallback.Options {
    fileprivate init(_ settings: Settings) throws(SettingError) {
        self.init()
        url = try settings.value("callback-url", expected: CallbackURL.expected) {
            CallbackURL($0)
        }
        workerID =
            try settings.value("worker-id", expected: "a name that is not empty") {
                $0.isEmpty ? nil : $0
            } ?? ""
        if let url, !url.isSkipped, workerID.isEmpty {
            throw settings.problem(
                of: ["callback-url"],
                "--callback-url needs --worker-id: whoever is told must know who is ready")
        }
        host =
            try settings.value("callback-host", expected: "a host name or an address") { text in
                // An IPv6 address has two colons at least; a port has no place here.
                guard text.count(where: { $0 == ":" }) != 1 else { return nil }
                return Authority(text.contains(":") && !text.hasPrefix("[") ? "[\(text)]" : text)
                    .flatMap { $0.host == text || $0.host == "[\(text)]" ? text : nil }
            } ?? ""
        modelReference = try settings.value("model", expected: "a name that is not empty") {
            $0.isEmpty ? nil : $0
        }
    }
}
