// A Swift source as the rules see it: where it lies, and its code without comments and texts.
// No parser: the formatter keeps the sources regular enough for lines and words.
// SPDX-License-Identifier: Apache-2.0

import Foundation

struct SourceFile: Sendable, CustomStringConvertible {
    /// Relative to the repository: `Sources/LlorchEngine/Tensor/Matrix.swift`.
    let path: String
    /// Lines whose comments and string contents are blanked; as many as in the file.
    let lines: [String]
    /// The names of the types it declares at the margin.
    let declaredTypes: [String]
    /// The identifiers of each line that can be types: capitalized, and not a member of something.
    let capitalizedWords: [(word: String, line: Int)]

    /// Finds the words here, once: the rules ask for them again for every planted violation.
    init(path: String, text: String) {
        self.path = path
        lines = Self.blanked(text).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
        declaredTypes = Self.declaredTypes(in: lines)
        capitalizedWords = lines.enumerated().flatMap { index, line in
            Self.capitalizedWords(in: line).map { ($0, index + 1) }
        }
    }

    var description: String { path }

    /// `LlorchEngine` of the path above.
    var target: String { component(1) }

    /// `Tensor` of the path above; empty for a file that lies directly in its target.
    var folder: String { path.split(separator: "/").count > 3 ? component(2) : "" }

    /// `Dialects/Execute` of a file two folders below its target; like `folder` of one that is not.
    var innerFolder: String {
        path.split(separator: "/").dropFirst(2).dropLast().joined(separator: "/")
    }

    /// Lines of the file; the empty text behind the last line's end is none.
    var length: Int { lines.last == "" ? lines.count - 1 : lines.count }

    /// The modules it imports, with the number of the line.
    var imports: [(module: String, line: Int)] {
        lines.enumerated().compactMap { index, line in
            let words = line.split(separator: " ")
            guard let place = words.firstIndex(of: "import"), place <= 2, let name = words.last
            else { return nil }
            return (String(name.prefix { $0 != "." }), index + 1)
        }
    }

    private static func declaredTypes(in lines: [String]) -> [String] {
        lines.compactMap { line in
            let words = line.split(separator: " ")
            guard line.first?.isWhitespace == false,
                let place = words.firstIndex(where: Self.typeKeywords.contains),
                words[..<place].allSatisfy(Self.modifiers.contains), place + 1 < words.count
            else { return nil }
            return String(words[place + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" })
        }
    }

    /// What `(?:^|[^.A-Za-z0-9_])([A-Z][A-Za-z0-9_]*)` matches: as a `Regex` it takes most of a minute here.
    private static func capitalizedWords(in line: String) -> [String] {
        var words: [String] = []
        let bytes = line.utf8
        var start = bytes.startIndex
        while let first = bytes[start...].firstIndex(where: isInName) {
            let end = bytes[first...].firstIndex { !isInName($0) } ?? bytes.endIndex
            let isMember = first > bytes.startIndex && bytes[bytes.index(before: first)] == 0x2e
            if !isMember, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[first]) {
                words.append(String(line[first..<end]))
            }
            start = end
        }
        return words
    }

    private static func isInName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static let typeKeywords: Set<Substring> = ["struct", "enum", "class", "protocol"]
    private static let modifiers: Set<Substring> = [
        "package", "public", "final", "indirect", "@safe",
    ]

    private func component(_ index: Int) -> String {
        let parts = path.split(separator: "/")
        return index < parts.count ? String(parts[index]) : ""
    }

    /// Keeps code and line ends; what stands in a comment or a text becomes spaces.
    private static func blanked(_ text: String) -> String {
        text.replacing(/"""(?s:.*?)"""|"(?:\\.|[^"\\\n])*"|\/\/[^\n]*/) { match in
            let kept = match.output.map { $0 == "\n" ? "\n" : " " as Character }
            return match.output.hasPrefix("/")
                ? String(kept) : "\"" + kept.dropFirst().dropLast() + "\""
        }
    }
}

extension SourceFile {
    /// Every Swift file below these folders of the repository.
    static func all(below folders: String...) throws -> [SourceFile] {
        let root = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try folders.flatMap { folder in
            let start = root.appending(path: folder).path
            let paths = FileManager.default.enumerator(atPath: start)?.compactMap { $0 as? String }
            return try (paths ?? []).filter { $0.hasSuffix(".swift") }.sorted().map { path in
                SourceFile(
                    path: "\(folder)/\(path)",
                    text: try String(contentsOfFile: "\(start)/\(path)", encoding: .utf8))
            }
        }
    }
}
