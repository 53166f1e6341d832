// One setting of a program, and where its value came from. Which settings a program has is the program's own table;
// how the places are put in order: Settings.swift.
// SPDX-License-Identifier: Apache-2.0

/// Something that can be set by an option, a variable of the environment, or a key of a file.
package struct Setting: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case text
        /// Any number of texts; in a variable they are separated by spaces.
        case list
        /// On or off; the option has no value.
        case flag
    }

    /// The option without its dashes, and the key in a file: `max-tokens-in`.
    package let name: String
    package let kind: Kind
    /// A variable that older starters set; less than the one that begins with `LLORCH_`.
    package let oldVariable: String?
    /// The value where nobody gives one; empty for none.
    package let standard: [String]

    package init(
        _ name: String, _ kind: Kind = .text, oldVariable: String? = nil, standard: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.oldVariable = oldVariable
        self.standard = standard.map { [$0] } ?? []
    }
}

/// Where a value came from.
package enum SettingSource: Sendable, Hashable {
    case commandLine
    /// A variable of the environment, by its name.
    case variable(String)
    /// A key of the file at this path.
    case file(String)
    case standard

    /// How an error names the setting: `--port`, `LLORCH_PORT`, `/etc/llorch/shim.yaml: port`.
    package func naming(_ setting: String) -> String {
        switch self {
        case .commandLine, .standard: "--\(setting)"
        case .variable(let name): name
        case .file(let path): "\(path): \(setting)"
        }
    }
}

/// Why settings cannot be used, in one sentence that names where the value came from.
package struct SettingError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
    /// Whether the command line is wrong, rather than the environment or a file.
    package let isUsage: Bool

    package init(_ description: String, isUsage: Bool) {
        self.description = description
        self.isUsage = isUsage
    }
}
