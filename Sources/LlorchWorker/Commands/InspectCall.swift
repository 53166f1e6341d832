// What `llorch-worker inspect` does: loads a model and prints its sizes, memory, tokenizer and digest. Runs nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

package enum InspectCall {
    /// Prints one line for each fact, or one JSON object.
    package static func run(_ model: ModelChoice, json: Bool) throws {
        let loaded = try model.load()
        let configuration = loaded.model.configuration
        let cache = try loaded.model.makeCache()
        let rows: [(name: String, value: JSONValue)] = [
            ("name", .string(loaded.facts.name)),
            ("digest", .string(loaded.facts.digest)),
            ("precision", .string(loaded.facts.precision)),
            ("precision_reason", .string(loaded.precisionReason)),
            ("parameters", .integer(loaded.model.parameterCount)),
            ("layers", .integer(configuration.layerCount)),
            ("heads", .integer(configuration.headCount)),
            ("head_size", .integer(configuration.headSize)),
            ("hidden_size", .integer(configuration.hiddenSize)),
            ("feed_forward_size", .integer(configuration.feedForwardSize)),
            ("context_length", .integer(configuration.contextLength)),
            ("vocabulary_size", .integer(configuration.vocabularySize)),
            ("tokenizer_entries", .integer(loaded.tokenizer.vocabularySize)),
            ("end_of_text", .array(loaded.endOfText.map { .integer(Int($0)) })),
            ("activation", .string(configuration.activation.rawValue)),
            ("tied_head", .bool(configuration.tieWordEmbeddings)),
            ("weight_bytes", .integer(loaded.model.weightByteCount)),
            ("cache_bytes", .integer(cache.byteCount)),
            ("chunk_length", .integer(loaded.model.preferredChunkLength)),
            ("isa", .string(loaded.model.kernels.instructionSet.rawValue)),
        ]
        if json {
            var writer = JSONWriter()
            writer.beginObject()
            for row in rows {
                writer.key(row.name)
                writer.value(row.value)
            }
            writer.endObject()
            try Output.writeLine(writer.bytes)
        } else {
            let width = rows.map(\.name.count).max() ?? 0
            for row in rows {
                let padding = String(repeating: " ", count: width - row.name.count + 2)
                let text =
                    row.value.asString ?? String(decoding: row.value.serialized(), as: UTF8.self)
                try Output.write(row.name + padding + text + "\n")
            }
        }
    }
}

extension JSONValue {
    fileprivate static func integer(_ value: Int) -> JSONValue { .number(JSONNumber(value)) }
}
