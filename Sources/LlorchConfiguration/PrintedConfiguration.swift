// The merged settings as the YAML that ConfigurationFile.swift reads, each with the place it came from.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

extension Settings {
    /// The settings, one a line, and a comment with the source; settings without a value are comments.
    ///
    /// - Parameters:
    ///   - program: named in the first line.
    ///   - notes: further lines, printed as comments.
    /// - Returns: lines that a configuration file may have.
    package func yaml(of program: String, notes: [String] = []) -> String {
        var text = "# The configuration of \(program), and where each value came from.\n"
        for note in notes { text += "# \(note)\n" }
        for setting in table {
            guard let value = self[setting.name] else {
                text += "# \(setting.name): not set\n"
                continue
            }
            let shown =
                setting.kind == .list
                ? "[\(value.texts.map(Self.quoted).joined(separator: ", "))]"
                : Self.quoted(value.texts.first ?? "")
            text += "\(setting.name): \(shown)  # \(Self.comment(value.source, setting.name))\n"
        }
        return text
    }

    private static func comment(_ source: SettingSource, _ name: String) -> String {
        switch source {
        case .commandLine: "--\(name)"
        case .variable(let variable): variable
        case .file(let path): LogText.safe(PathText.shown(path))
        case .standard: "default"
        }
    }

    /// A double-quoted scalar: no text is mistaken for a number, a list or nothing.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{20}"..."\u{7E}": result.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
        return result + "\""
    }
}
