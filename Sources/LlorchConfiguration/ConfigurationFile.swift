// A YAML file of settings: one mapping from keys to values or lists of values. Everything else that YAML has is
// refused: what is not understood must not be ignored.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import Yams

/// What a configuration file says, read whole.
package struct ConfigurationFile: Sendable, Hashable {
    /// The name by which the file was given.
    package let path: String
    /// The values by their keys; one text, but for lists.
    package let values: [String: [String]]

    /// A file of settings has a few hundred bytes.
    package static let maximumBytes = 64 << 10

    /// Reads a file.
    ///
    /// - Throws: a sentence that names the file, and the line where there is one.
    package init(path: String, table: [Setting]) throws(SettingError) {
        let bytes: [UInt8]
        do {
            bytes = try InputFile.contents(of: path, limit: Self.maximumBytes)
        } catch {
            throw SettingError("\(error)", isUsage: false)
        }
        try self.init(path: path, bytes: bytes, table: table)
    }

    package init(path: String, bytes: [UInt8], table: [Setting]) throws(SettingError) {
        self.path = path
        let reader = Reader(path: path, table: table)
        values = try reader.values(of: try reader.root(of: bytes))
    }
}

private struct Reader {
    let path: String
    let table: [Setting]

    func root(of bytes: [UInt8]) throws(SettingError) -> Node? {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error("expected UTF-8")
        }
        // A few bytes of anchors can stand for more values than any memory holds.
        if let line = Self.lineOfAnchor(in: text) {
            throw error("anchors (&) are not supported", line: line)
        }
        do {
            return try Yams.Parser(yaml: text, encoding: .utf8).singleRoot()
        } catch let problem as YamlError {
            throw error(of: problem)
        } catch let problem {
            throw error("no YAML: \(problem)")
        }
    }

    func values(of root: Node?) throws(SettingError) -> [String: [String]] {
        // A file with comments only.
        guard let root, !Self.isNothing(root) else { return [:] }
        guard case .mapping(let mapping) = root else {
            throw error("expected lines of the form `key: value`")
        }
        var values: [String: [String]] = [:]
        for (key, value) in mapping {
            let line = key.mark?.line
            guard case .scalar(let scalar) = key,
                let setting = table.first(where: { $0.name == scalar.string })
            else { throw error(unknown: key, line: line) }
            values[setting.name] = try texts(of: value, setting, line: line)
        }
        return values
    }

    private func texts(
        of node: Node, _ setting: Setting, line: Int?
    ) throws(SettingError) -> [String] {
        switch (node, setting.kind) {
        case (.scalar(let scalar), _) where !Self.isNothing(node):
            return [scalar.string]
        case (.sequence(let sequence), .list):
            var texts: [String] = []
            for element in sequence {
                guard case .scalar(let scalar) = element, !Self.isNothing(element) else {
                    throw error("\(setting.name): expected a list of texts", line: line)
                }
                texts.append(scalar.string)
            }
            return texts
        case (.scalar, _):
            throw error("\(setting.name): expected a value, found none", line: line)
        default:
            let expected = setting.kind == .list ? "a list of texts" : "one value"
            throw error("\(setting.name): expected \(expected)", line: line)
        }
    }

    /// What YAML reads as `null`.
    private static func isNothing(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any else {
            return false
        }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// The line of an `&` that could begin an anchor: one that no letter, digit or `=` of a text precedes.
    private static func lineOfAnchor(in text: String) -> Int? {
        var line = 1
        var isInsideText = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&") where !isInsideText: return line
            case UInt8(ascii: "\n"): line += 1
            default: break
            }
            isInsideText =
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "="), UInt8(ascii: "%"),
                    UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
        }
        return nil
    }

    private func error(_ text: String, line: Int? = nil) -> SettingError {
        let place = line.map { "\(path):\($0)" } ?? path
        return SettingError("\(place): \(text)", isUsage: false)
    }

    private func error(unknown key: Node, line: Int?) -> SettingError {
        let name = key.scalar.map { LogText.safe($0.string, length: 64) } ?? "a key that is no text"
        let known = table.map(\.name).sorted().joined(separator: ", ")
        return error("unknown key \(name); expected one of \(known)", line: line)
    }

    private func error(of problem: YamlError) -> SettingError {
        switch problem {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            error("no YAML: \(text)", line: mark.line)
        case .duplicatedKeysInMapping(let duplicates, _):
            error(
                "a key appears twice: "
                    + duplicates.map { LogText.safe("\($0)", length: 64) }.joined(separator: ", "))
        case .reader(let text, _, _, _): error("no YAML: \(text)")
        default: error("no YAML")
        }
    }
}
