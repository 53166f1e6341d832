// What a program's log says of who was not let in, in the words of both programs. It writes no log itself.
// Who is let in: ZMQ/ConnectionGuard.swift.
// SPDX-License-Identifier: Apache-2.0

/// Finds what is new since it was last asked, at most once a second.
package struct AccessReport: Sendable {
    /// One warning.
    package struct News: Sendable, Hashable {
        package struct Field: Sendable, Hashable {
            package let name: String
            package let value: String
        }

        package let message: String
        /// What belongs to the message, in the order in which it reads best.
        package let fields: [Field]

        fileprivate init(_ message: String, _ fields: [(name: String, value: String)] = []) {
            self.message = message
            self.fields = fields.map { Field(name: $0.name, value: $0.value) }
        }
    }

    /// What whoever reaches a socket without keys can do there.
    package enum Exposure: String, Sendable, Hashable {
        case worker = "whoever reaches the addresses can send jobs and read answers"
        case dispatcher = "whoever reaches the events address can pass for a worker"
    }

    /// Nil where other machines need a key, or reach nothing.
    private let exposure: Exposure?
    private var nextReport = Duration.zero
    private var nextExposure = Duration.zero
    private var reported = ConnectionGuard.Access()

    private static let interval = Duration.seconds(1)
    private static let exposureInterval = Duration.seconds(60)

    package init(exposure: Exposure?) {
        self.exposure = exposure
    }

    /// What has happened since the last call; `access` is nil where sockets have no keys.
    ///
    /// A warning that everyone is let in comes once a minute. A failure to read the allowed keys is reported when
    /// the failure begins and when its reason changes.
    package mutating func news(of access: ConnectionGuard.Access?, now: Duration) -> [News] {
        guard now >= nextReport else { return [] }
        nextReport = now + Self.interval
        var news: [News] = []
        if let exposure, now >= nextExposure {
            nextExposure = now + Self.exposureInterval
            news.append(News("--insecure-bind: \(exposure.rawValue)"))
        }
        guard let access else { return news }
        if access.refused != reported.refused, let last = access.lastRefusal {
            news.append(
                News(
                    "connections were refused: their keys are not allowed",
                    [
                        ("refused_total", "\(access.refused)"), ("last_key", "\(last.key)"),
                        ("last_address", last.address),
                    ]))
        }
        if let failure = access.loadFailure, failure != reported.loadFailure {
            news.append(
                News(
                    "the allowed keys could not be read again; those read before stay in force",
                    [("reason", "\(failure)")]))
        }
        reported = access
        return news
    }
}
