// Log lines through the handler of both programs, with texts that try to be more than one value.
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchSystem
import Logging
import Synchronization
import Testing

@Suite struct SafeLogHandlerTests {
    /// What a line looks like, with the time of day cut off.
    @Test func aLineIsThatOfSwiftLog() {
        let log = Lines()
        var logger = log.logger
        logger[metadataKey: "worker_id"] = "w1"
        logger.info("job ended", metadata: ["total_ms": "12", "outcome": "end"])
        #expect(
            log.lines == [
                "info test: outcome=end total_ms=12 worker_id=w1 [LlorchLogTests] job ended"
            ])
    }

    @Test(arguments: [
        "a\n2026-11-27T10:00:00+0000 info test: worker_id=w1 [LlorchWorker] job ended", "a\r\nb",
        "a\u{2028}b", "a\u{2029}b", "a\u{85}b", "a\u{0B}b\u{0C}c", "\u{1B}[2K\u{1B}[1Aforged",
        "a\u{202E}b", "a\u{2066}b\u{2069}", "a\u{200B}b\u{FEFF}", "a\u{0}b\u{7F}\u{9B}",
        "a\u{00A0}b", "a\u{E0041}b",
    ])
    func aForgedIdStaysOneValueOfOneLine(id: String) throws {
        let log = Lines()
        // As the worker does it: on the logger of the job, and at a call.
        var logger = log.logger
        logger[metadataKey: "job_id"] = "\(id)"
        logger.info("job begins", metadata: ["queued_ms": "0"])
        log.logger.info("client dropped", metadata: ["job_id": "\(id)"])
        log.logger.info("\(id)")
        for line in log.lines {
            let hostile = line.unicodeScalars.filter { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: true
                case .spaceSeparator: scalar != " "
                default: false
                }
            }
            #expect(hostile.isEmpty, "\(line.debugDescription)")
        }
        #expect(log.lines.count == 3)
        let begins = try #require(log.lines.first)
        #expect(begins.hasSuffix(" queued_ms=0 [LlorchLogTests] job begins"))
    }

    @Test func aValueCannotPretendToBeAnotherField() {
        let log = Lines()
        log.logger.info("x", metadata: ["job_id": "a\" outcome=end [LlorchWorker] job ended \""])
        #expect(
            log.lines == [
                #"info test: job_id="a\" outcome=end [LlorchWorker] job ended \"" "#
                    + "[LlorchLogTests] x"
            ])
        // A backslash that a text brings cannot look like an escape of ours.
        let other = Lines()
        other.logger.info("x", metadata: ["job_id": #"a\nb"#, "empty": ""])
        #expect(other.lines == [#"info test: empty="" job_id=a\\nb [LlorchLogTests] x"#])
    }

    @Test func longTextsAreCut() throws {
        let log = Lines()
        let long = String(repeating: "é", count: 10_000)
        log.logger.info("\(long)", metadata: ["a": "\(long)", "b": ["\(long)"], "c": ["k": "v"]])
        let line = try #require(log.lines.first)
        #expect(line.count { $0 == "é" } == LogText.messageLength + 2 * LogText.valueLength - 2)
        #expect(line.count { $0 == "…" } == 3)
        #expect(log.lines.count == 1)
    }

    @Test func errorsAreEscapedToo() {
        struct Forger: Error, CustomStringConvertible {
            var description: String { "x\nforged" }
        }
        let log = Lines()
        log.logger.error("failed", error: Forger())
        #expect(log.lines.count == 1)
        #expect(log.lines.first?.contains(#"error.message=x\nforged "#) == true)
    }

    @Test func levelsAreObeyed() {
        let log = Lines()
        log.logger.debug("not logged")
        #expect(log.lines.isEmpty)
    }
}

/// What was written through the handler, line by line, without the time.
private final class Lines: TextOutputStream, Sendable {
    private let text = Mutex("")

    func write(_ string: String) { text.withLock { $0 += string } }

    var logger: Logger {
        Logger(label: "test") { SafeLogHandler(label: $0, stream: self) }
    }

    var lines: [String] {
        text.withLock { $0 }.split(separator: "\n").map { line in
            String(line.drop { $0 != " " }.dropFirst())
        }
    }
}
