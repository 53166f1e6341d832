// Log lines as JSON, read by a parser of their own: what collectors of logs find in them.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LlorchLog
import LlorchSystem
import Logging
import Synchronization
import Testing

@Suite struct JSONLogHandlerTests {
    @Test func aLineHasTheMembersThatCollectorsLookFor() throws {
        let log = Lines()
        var logger = log.logger
        logger[metadataKey: "worker_id"] = "w1"
        logger[metadataKey: LogKey.modelReference] = "models/a"
        logger.info(
            "job ended",
            metadata: .of(
                .executeEnd,
                [
                    "job_id": "7", "correlation_id": "c-1", "prompt_tokens": "5", "tokens_out": "8",
                    "decode_ms": "12", "outcome": "MAX_TOKENS",
                ]))
        let text = try #require(log.lines.first)
        let start = text.drop { $0 != "," }
        #expect(
            start == """
                ,"level":"info","component":"test","event":"execute_end","worker_id":"w1","job_id":"7",\
                "model_ref":"models/a","correlation_id":"c-1","message":"job ended",\
                "decode_time_ms":12,"outcome":"MAX_TOKENS","tokens_in":5,"tokens_out":8}
                """)
        let line = try Line(text)
        #expect(line.timestamp.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
    }

    @Test(arguments: [
        "a\n{\"forged\":1}", "a\r\u{2028}\u{2029}\u{85}", "\u{1B}[2K", "\u{202E}\u{2066}",
        "\"},{\"",
        "a\\\"b", "\u{0}\u{7F}\u{9B}", "\u{E0041}é😀",
    ])
    func anyTextIsOneValueOfOneLine(id: String) throws {
        let log = Lines()
        log.logger.info("\(id)", metadata: ["job_id": "\(id)", "\(id)": "x"])
        #expect(log.lines.count == 1)
        let text = try #require(log.lines.first)
        #expect(!text.unicodeScalars.contains(where: LogText.isHostile))
        let line = try Line(text)
        #expect(line.jobID == id && line.message == id)
    }

    @Test func longTextsAreCutAndNumbersStayNumbers() throws {
        let log = Lines()
        let long = String(repeating: "é", count: 10_000)
        log.logger.info(
            "\(long)", metadata: ["job_id": "\(long)", "tokens_out": "01", "status": "200"])
        let text = try #require(log.lines.first)
        #expect(text.count { $0 == "é" } == LogText.messageLength + LogText.valueLength)
        #expect(text.hasSuffix(#""status":200,"tokens_out":"01"}"#))
    }

    @Test func anErrorIsTheEventError() throws {
        struct Failure: Error, CustomStringConvertible { let description = "x\ny" }
        let log = Lines()
        log.logger.error("failed", error: Failure())
        let line = try Line(try #require(log.lines.first))
        #expect(line.event == "error" && line.errorMessage == "x\ny" && line.level == "error")
        log.logger.debug("not logged")
        #expect(log.lines.count == 1)
    }

    @Test func aLineThatTellsOfMissingLinesIsJSONToo() throws {
        let line = try Line(JSONLogHandler.notice(missing: 3))
        #expect(line.message == LogStream.plainNotice(missing: 3) && line.level == "warning")
    }

    /// In text the message says it all: neither event nor model stands in the line.
    @Test func aLineOfTextLeavesOutWhatOnlyProgramsRead() {
        let text = Lines()
        var logger = Logger(label: "test") { SafeLogHandler(label: $0, stream: text) }
        logger[metadataKey: LogKey.modelReference] = "models/a"
        logger.info("ready", metadata: .of(.ready, ["vram_bytes": "0"]))
        #expect(text.lines.count == 1)
        #expect(
            text.lines.first?.hasSuffix(" info test: vram_bytes=0 [LlorchLogTests] ready") == true)
    }

    @Test func theEventsAreThoseThatCollectorsKnow() {
        #expect(
            LogEventName.allCases.map(\.rawValue) == [
                "startup", "model_load_start", "model_load_progress", "model_load_complete",
                "ready",
                "execute_start", "execute_end", "error", "shutdown",
            ])
    }
}

/// One line as a parser reads it; the names are those of the log.
private struct Line: Decodable {
    var timestamp: String
    var level: String
    var component: String
    var message: String
    var event: String?
    var jobID: String?
    var errorMessage: String?

    private enum CodingKeys: String, CodingKey {
        case timestamp
        case level
        case component
        case message
        case event
        case jobID = "job_id"
        case errorMessage = "error_message"
    }

    init(_ text: String) throws {
        self = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
    }
}

private final class Lines: TextOutputStream, Sendable {
    private let text = Mutex("")

    func write(_ string: String) { text.withLock { $0 += string } }

    var logger: Logger {
        Logger(label: "test") { JSONLogHandler(label: $0, stream: self) }
    }

    var lines: [String] {
        text.withLock { $0 }.split(separator: "\n", omittingEmptySubsequences: true).map(
            String.init)
    }
}
