// Prints the events of one job on standard output: the text as it comes, or a JSON line for each event.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// Shows events as text, or as the JSON lines of the wire without their envelope.
struct EventPrinter {
    let json: Bool
    private(set) var failed = false
    private var ids: [TokenID] = []
    private var text = ""

    init(json: Bool) { self.json = json }

    mutating func show(_ event: TokenEvent) throws(OutputError) {
        if case .token(let piece) = event {
            ids += piece.ids
            text += piece.text
        }
        if json { try showLine(event) } else { try showText(event) }
        if case .error = event { failed = true }
    }

    private func showLine(_ event: TokenEvent) throws(OutputError) {
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
        try Output.writeLine(writer.bytes)
    }

    private func showText(_ event: TokenEvent) throws(OutputError) {
        switch event {
        case .token(let piece): try Output.write(piece.text)
        case .error(let failure): Output.standardError("\nerror: \(failure)\n")
        case .end(let end):
            try Output.write("\n")
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
