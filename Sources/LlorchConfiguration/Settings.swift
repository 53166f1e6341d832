// All settings of a start, each from the first place that has it: command line, `LLORCH_*`, the older variables, a file,
// the default. What a value may be is checked by the program that uses it; the file itself: ConfigurationFile.swift.
// SPDX-License-Identifier: Apache-2.0

import Configuration

/// The merged settings.
package struct Settings: Sendable {
    package struct Value: Sendable, Hashable {
        /// One text, but for lists.
        package var texts: [String]
        package var source: SettingSource

        package init(texts: [String], source: SettingSource) {
            self.texts = texts
            self.source = source
        }
    }

    package let table: [Setting]
    private var values: [String: Value] = [:]

    /// Merges the places.
    ///
    /// - Parameters:
    ///   - table: every setting of the program.
    ///   - given: the values of the options that were given, by their names.
    ///   - environment: the variables of the process.
    ///   - file: what was read of the configuration file; nil where there is none.
    /// - Throws: for a value of the wrong kind.
    package init(
        table: [Setting], given: [String: [String]], environment: [String: String],
        file: ConfigurationFile?
    ) throws(SettingError) {
        self.table = table
        let layers = Self.layers(table, given, environment, file)
        for setting in table {
            let key = AbsoluteConfigKey([setting.name])
            for layer in layers {
                guard let value = try layer.value(of: setting, key) else { continue }
                values[setting.name] = value
                break
            }
            if values[setting.name] == nil, !setting.standard.isEmpty {
                values[setting.name] = Value(texts: setting.standard, source: .standard)
            }
        }
    }

    /// A provider of swift-configuration, and how its values are named.
    private struct Layer {
        let provider: any ConfigProvider
        let source: (Setting, _ key: String) -> SettingSource

        func value(of setting: Setting, _ key: AbsoluteConfigKey) throws(SettingError) -> Value? {
            let type: ConfigType = setting.kind == .list ? .stringArray : .string
            let result: LookupResult
            do {
                result = try provider.value(forKey: key, type: type)
            } catch {
                throw SettingError("\(setting.name): \(error)", isUsage: false)
            }
            let source = source(setting, result.encodedKey)
            switch result.value?.content {
            case .string(let text): return Value(texts: [text], source: source)
            case .stringArray(let texts):
                return Value(texts: texts.filter { !$0.isEmpty }, source: source)
            default: return nil
            }
        }
    }

    private static func layers(
        _ table: [Setting], _ given: [String: [String]], _ environment: [String: String],
        _ file: ConfigurationFile?
    ) -> [Layer] {
        let variables = Dictionary(
            table.compactMap { setting in
                environment[variable(of: setting.name)].map { (setting, $0) }
            }, uniquingKeysWith: { first, _ in first })
        let older = Dictionary(
            table.compactMap { setting in
                setting.oldVariable.flatMap { environment[$0] }.map { (setting, $0) }
            }, uniquingKeysWith: { first, _ in first })
        var layers = [
            Layer(provider: memory(table, given), source: { _, _ in .commandLine }),
            Layer(
                provider: memory(variables),
                source: { setting, _ in .variable(variable(of: setting.name)) }),
            Layer(
                provider: memory(older),
                source: { setting, _ in .variable(setting.oldVariable ?? setting.name) }),
        ]
        if let file {
            layers.append(
                Layer(provider: memory(table, file.values), source: { _, _ in .file(file.path) }))
        }
        return layers
    }

    private static func memory(
        _ table: [Setting], _ values: [String: [String]]
    ) -> InMemoryProvider {
        var contents: [AbsoluteConfigKey: ConfigValue] = [:]
        for setting in table {
            guard let texts = values[setting.name] else { continue }
            let content: ConfigContent =
                setting.kind == .list ? .stringArray(texts) : .string(texts.first ?? "")
            contents[AbsoluteConfigKey([setting.name])] = ConfigValue(content, isSecret: false)
        }
        return InMemoryProvider(values: contents)
    }

    private static func memory(_ variables: [Setting: String]) -> InMemoryProvider {
        memory(
            Array(variables.keys),
            Dictionary(
                variables.map { setting, text in
                    let texts =
                        setting.kind == .list ? text.split(separator: " ").map(String.init) : [text]
                    return (setting.name, texts)
                }, uniquingKeysWith: { first, _ in first }))
    }

    /// The variable of a setting: `LLORCH_MAX_TOKENS_IN`.
    package static func variable(of name: String) -> String {
        "LLORCH_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    // MARK: - Reading

    package subscript(name: String) -> Value? { values[name] }

    /// The text of a setting; nil where nobody gave one and there is no default.
    package func text(_ name: String) -> String? { values[name]?.texts.first }

    package func list(_ name: String) -> [String] { values[name]?.texts ?? [] }

    /// Whether a flag is on.
    package func isOn(_ name: String) throws(SettingError) -> Bool {
        switch text(name) {
        case nil, "false": return false
        case "true": return true
        default: throw problem(name, "expected true or false")
        }
    }

    /// The value of a setting as `read` understands its text; nil where there is none.
    package func value<Value>(
        _ name: String, expected: String, _ read: (String) -> Value?
    ) throws(SettingError) -> Value? {
        guard let text = text(name) else { return nil }
        guard let value = read(text) else { throw problem(name, "expected \(expected)") }
        return value
    }

    /// A whole number within bounds.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(SettingError) -> Int? {
        let expected = "\(range.lowerBound) to \(range.upperBound)"
        return try value(name, expected: expected) { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// What is wrong with the value of a setting; names the value and where it came from.
    package func problem(_ name: String, _ text: String) -> SettingError {
        guard let value = values[name] else {
            return SettingError("--\(name): \(text)", isUsage: true)
        }
        let named = value.source.naming(name)
        let shown = value.texts.joined(separator: " ")
        return switch value.source {
        case .commandLine, .standard: SettingError("\(named) \(shown): \(text)", isUsage: true)
        case .variable: SettingError("\(named)=\(shown): \(text)", isUsage: false)
        case .file: SettingError("\(named): \(shown): \(text)", isUsage: false)
        }
    }

    /// A sentence about several settings, which names options; the places of those that are no options are added.
    package func problem(of names: [String], _ sentence: String) -> SettingError {
        let sources = names.compactMap { name in values[name].map { (name, $0.source) } }
        let isUsage = !sources.contains { _, source in
            if case .variable = source { return true }
            if case .file = source { return true }
            return false
        }
        let places = sources.compactMap { name, source -> String? in
            switch source {
            case .commandLine, .standard: nil
            case .variable, .file: source.naming(name)
            }
        }
        let suffix = places.isEmpty ? "" : " (set by \(places.joined(separator: ", ")))"
        return SettingError(sentence + suffix, isUsage: isUsage)
    }
}
