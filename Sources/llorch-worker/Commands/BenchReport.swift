// The rows of `bench`, as llama-bench's Markdown table or its JSON. Measures nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// Collects rows and prints them: Markdown as they come, JSON at the end.
struct BenchReport {
    private let facts: ModelFacts
    private let model: GPT2
    private let path: String
    private let json: Bool
    private var writer = JSONWriter()

    init(_ facts: ModelFacts, _ model: GPT2, path: String, json: Bool) {
        self.facts = facts
        self.model = model
        self.path = path
        self.json = json
        if json {
            writer.beginArray()
        } else {
            Output.write(
                """
                | model | size | params | backend | threads | test | t/s |
                | --- | ---: | ---: | --- | ---: | ---: | ---: |

                """)
        }
    }

    mutating func add(_ test: BenchTest, nanoseconds: [Double]) {
        let rates = nanoseconds.map { Double(test.count) * 1e9 / $0 }
        if json {
            addObject(test, nanoseconds: nanoseconds, rates: rates)
        } else {
            let cells = [
                "\(facts.name) \(facts.precision)",
                "\(Self.fixed(Double(model.weightByteCount) / 1_048_576)) MiB",
                "\(Self.fixed(Double(model.parameterCount) / 1e6)) M",
                "CPU \(model.kernels.instructionSet.rawValue)", "1", test.name,
                "\(Self.fixed(Self.mean(rates))) ± \(Self.fixed(Self.deviation(rates)))",
            ]
            Output.write("| " + cells.joined(separator: " | ") + " |\n")
        }
    }

    mutating func finish() {
        guard json else { return }
        writer.endArray()
        Output.writeLine(writer.bytes)
    }

    private mutating func addObject(_ test: BenchTest, nanoseconds: [Double], rates: [Double]) {
        writer.beginObject()
        writer.member("backends", "CPU")
        writer.member("isa", model.kernels.instructionSet.rawValue)
        writer.member("model_filename", path)
        writer.member("model_type", "gpt2 \(facts.precision)")
        writer.member("model_size", model.weightByteCount)
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
