// Text to standard output as it is produced: the shortest way to see the engine run.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem
import LlorchWorker

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continues a prompt on standard output.",
        discussion: """
            EXAMPLES
              llorch-worker generate --prompt "ROMEO." --max-tokens 64 --seed 7
              llorch-worker generate --prompt-file scene.txt --temperature 0 --json
              llorch-worker generate --ids 10,20,30 --max-tokens 8 --json
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "The text to continue.")
    var prompt: String?

    @Option(help: "A file with the text to continue.")
    var promptFile: String?

    @Option(help: "The token ids to continue, as 1,2,3.")
    var ids: String?

    @Option(help: "New tokens at most, 1 to 2048.")
    var maxTokens: Int = 128

    @Option(help: "0 takes the likeliest token; 0 to 2.")
    var temperature: String = "1"

    @Option(help: "Keep the k likeliest tokens; 0 is off.")
    var topK: Int = 0

    @Option(help: "Keep the likeliest tokens up to this sum of probability; 1 is off.")
    var topP: String = "1"

    @Option(help: "Keep tokens at least this fraction as likely as the best; 0 is off.")
    var minP: String = "0"

    @Option(help: "Weakens tokens that were generated before; 1 is off, 0 to 2.")
    var repetitionPenalty: String = "1"

    @Option(help: "The same seed gives the same text on any machine; random if not given.")
    var seed: UInt64?

    @Option(help: "Ends the text where it appears; up to four times.")
    var stop: [String] = []

    @Option(help: "Tokens of a prefill chunk. Never changes a result.")
    var chunk: Int?

    @Flag(help: "One event a line; the last has all ids and the whole text.")
    var json = false

    func validate() throws {
        guard [prompt != nil, promptFile != nil, ids != nil].count(where: \.self) == 1 else {
            throw ValidationError("give one of --prompt, --prompt-file and --ids")
        }
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
    }

    func run() throws {
        let promptIDs = try ids.map(Self.parseIDs)
        var job = try makeJob()
        job.seed = job.seed ?? UInt64.random(in: .min ... .max)
        let loaded = try model.load()
        var backend = CPUBackend(loaded, chunkLength: chunk)
        if let promptIDs {
            try backend.start(job, promptIDs: promptIDs, queuedMilliseconds: 0)
        } else {
            try backend.start(job, queuedMilliseconds: 0)
        }
        var printer = EventPrinter(json: json)
        while true {
            switch backend.step() {
            case .working: continue
            case .event(let event): printer.show(event)
            case .finished:
                if printer.failed { throw ExitCode.failure }
                return
            }
        }
    }

    /// Through the validator that HTTP and the queue use, so that limits and texts are the same.
    private func makeJob() throws -> GenerationJob {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("job_id")
        writer.string("generate")
        writer.key("prompt")
        writer.string(try promptText())
        for (name, value) in [
            ("max_tokens", "\(maxTokens)"), ("temperature", temperature), ("top_k", "\(topK)"),
            ("top_p", topP), ("min_p", minP), ("repetition_penalty", repetitionPenalty),
        ] {
            writer.key(name)
            writer.value(try StrictJSON.parse(Array(value.utf8), limits: .wire))
        }
        if let seed {
            writer.key("seed")
            writer.integer(seed)
        }
        writer.key("stop")
        writer.beginArray()
        for text in stop { writer.string(text) }
        writer.endArray()
        writer.endObject()
        do {
            return try ExecuteRequest(parsing: writer.bytes).job
        } catch {
            let texts = error.failure.errors.map(\.message)
            throw CommandFailure(
                texts.isEmpty ? error.failure.message : texts.joined(separator: "; "))
        }
    }

    private func promptText() throws -> String {
        if let promptFile {
            let bytes = try RegularFile.contents(of: promptFile, limit: 1 << 20)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw CommandFailure("\(promptFile) is not UTF-8")
            }
            return text
        }
        return prompt ?? "ids"
    }

    private static func parseIDs(_ text: String) throws -> [TokenID] {
        let ids = text.split(separator: ",").map { TokenID($0.filter { $0 != " " }) }
        guard !ids.isEmpty, !ids.contains(nil) else {
            throw CommandFailure("--ids must be numbers like 1,2,3")
        }
        return ids.compactMap(\.self)
    }
}

/// Events as text, or as the JSON lines of the wire without an envelope.
private struct EventPrinter {
    let json: Bool
    private(set) var failed = false
    private var ids: [TokenID] = []
    private var text = ""

    init(json: Bool) { self.json = json }

    mutating func show(_ event: TokenEvent) {
        if case .token(let piece) = event {
            ids += piece.ids
            text += piece.text
        }
        if json { showLine(event) } else { showText(event) }
        if case .error = event { failed = true }
    }

    private func showLine(_ event: TokenEvent) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("type", event.wireType)
        event.writeMembers(to: &writer)
        if case .end = event {
            writer.key("ids")
            writer.beginArray()
            for id in ids { writer.integer(id) }
            writer.endArray()
            writer.member("text", text)
        }
        writer.endObject()
        Output.writeLine(writer.bytes)
    }

    private func showText(_ event: TokenEvent) {
        switch event {
        case .token(let piece): Output.write(piece.text)
        case .error(let failure): Output.standardError("\nerror: \(failure)\n")
        case .end(let end):
            Output.write("\n")
            guard Output.errorIsTerminal else { return }
            let seconds = Double(max(end.decodeTimeMilliseconds, 1)) / 1000
            let rate = Int((Double(end.tokensOut) / seconds).rounded())
            Output.standardError(
                "[\(end.stopReason.rawValue): \(end.promptTokens) prompt tokens in "
                    + "\(end.prefillMilliseconds) ms, \(end.tokensOut) tokens at \(rate)/s]\n")
        case .started, .metrics: break
        }
    }
}
