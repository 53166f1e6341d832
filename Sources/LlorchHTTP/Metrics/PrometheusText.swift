// Numbers as Prometheus' text format, version 0.0.4. Which numbers: MetricsRoute.swift.
// https://prometheus.io/docs/instrumenting/exposition_formats/
// SPDX-License-Identifier: Apache-2.0

/// A page that is written family by family.
package struct PrometheusText: Sendable {
    /// The raw value is the spelling in a `TYPE` line.
    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    package typealias Label = (name: String, value: String)

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package private(set) var text = ""
    private var family = ""

    package init() {}

    /// Begins a family: the samples that follow belong to it.
    package mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        family = name
        text += "# HELP \(name) \(Self.escaped(help, quoted: false))\n"
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    package mutating func sample(_ value: Int, _ labels: Label...) {
        line(family, labels, "\(value)")
    }

    package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
        begin(name, kind, help)
        sample(value)
    }

    package mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        begin(name, .histogram, help)
        for (bound, count) in zip(histogram.bounds, histogram.cumulative) {
            line("\(name)_bucket", [("le", "\(bound)")], "\(count)")
        }
        line("\(name)_bucket", [("le", "+Inf")], "\(histogram.count)")
        line("\(name)_sum", [], "\(histogram.sum)")
        line("\(name)_count", [], "\(histogram.count)")
    }

    private mutating func line(_ name: String, _ labels: [Label], _ value: String) {
        text += name
        if !labels.isEmpty {
            let pairs = labels.map { #"\#($0.name)="\#(Self.escaped($0.value, quoted: true))""# }
            text += "{\(pairs.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ text: String, quoted: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += #"\\"#
            case "\n": result += #"\n"#
            case "\"" where quoted: result += #"\""#
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
