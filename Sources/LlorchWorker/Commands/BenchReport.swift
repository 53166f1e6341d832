// The rows of `bench`, as llama-bench's Markdown table or its JSON. Measures nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// What a report tells of the model.
struct BenchedModel {
    let name: String
    let path: String
    let precision: String
    let instructionSet: String
    let contextLength: Int
    let parameterCount: Int
    /// Bytes of the weights in memory.
    let byteCount: Int

    init(_ loaded: LoadedModel, path: String) {
        name = loaded.facts.name
        self.path = path
        precision = loaded.facts.precision
        instructionSet = loaded.model.kernels.instructionSet.rawValue
        contextLength = loaded.model.configuration.contextLength
        parameterCount = loaded.model.parameterCount
        byteCount = loaded.model.weightByteCount
    }
}

/// Collects rows and prints them: Markdown as they come, JSON at the end.
struct BenchReport {
    private let model: BenchedModel
    private let json: Bool
    private var writer = JSONWriter()

    init(_ model: BenchedModel, json: Bool) throws(OutputError) {
        self.model = model
        self.json = json
        if json {
            writer.beginArray()
        } else {
            try Output.write(
                """
                | model | size | params | backend | threads | test | t/s |
                | --- | ---: | ---: | --- | ---: | ---: | ---: |

                """)
        }
    }

    mutating func add(_ test: BenchTest, _ samples: [Duration]) throws(OutputError) {
        let nanoseconds = samples.map(\.nanoseconds)
        let rates = nanoseconds.map { Double(test.count) * 1e9 / $0 }
        if json {
            addObject(test, nanoseconds: nanoseconds, rates: rates)
        } else {
            let cells = [
                "\(model.name) \(model.precision)",
                "\(Self.fixed(Double(model.byteCount) / 1_048_576)) MiB",
                "\(Self.fixed(Double(model.parameterCount) / 1e6)) M",
                "CPU \(model.instructionSet)", "1", test.name,
                "\(Self.fixed(Self.mean(rates))) ± \(Self.fixed(Self.deviation(rates)))",
            ]
            try Output.write("| " + cells.joined(separator: " | ") + " |\n")
        }
    }

    mutating func finish() throws(OutputError) {
        guard json else { return }
        writer.endArray()
        try Output.writeLine(writer.bytes)
    }

    private mutating func addObject(_ test: BenchTest, nanoseconds: [Double], rates: [Double]) {
        writer.beginObject()
        writer.member("backends", "CPU")
        writer.member("isa", model.instructionSet)
        writer.member("model_filename", model.path)
        writer.member("model_type", "gpt2 \(model.precision)")
        writer.member("model_size", model.byteCount)
        writer.member("model_n_params", model.parameterCount)
        writer.member("n_threads", 1)
        writer.member("n_prompt", test.prompt)
        writer.member("n_gen", test.generated)
        writer.member("n_depth", test.depth)
        writer.member("avg_ns", Self.mean(nanoseconds))
        writer.member("stddev_ns", Self.deviation(nanoseconds))
        writer.member("avg_ts", Self.mean(rates))
        writer.member("stddev_ts", Self.deviation(rates))
        for (name, samples) in [("samples_ns", nanoseconds), ("samples_ts", rates)] {
            writer.key(name)
            writer.beginArray()
            for sample in samples { writer.number(sample) }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func mean(_ values: [Double]) -> Double {
        values.reduce(0, +) / Double(max(values.count, 1))
    }

    /// Of the sample, over n − 1.
    private static func deviation(_ values: [Double]) -> Double {
        guard values.count > 1 else { return 0 }
        let mean = mean(values)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(values.count - 1)).squareRoot()
    }

    /// Two digits behind the point.
    static func fixed(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let fraction = String(hundredths % 100)
        return "\(hundredths / 100).\(fraction.count < 2 ? "0" : "")\(fraction)"
    }
}
