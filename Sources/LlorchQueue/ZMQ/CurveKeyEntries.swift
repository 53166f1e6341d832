// The strict reader of key files: it finds the bytes of the keys without copying them, as one of them is secret.
// SPDX-License-Identifier: Apache-2.0

/// Where the values of a key file stand in its bytes.
struct CurveKeyEntries {
    private(set) var publicKey: Range<Int>?
    private(set) var secretKey: Range<Int>?

    private enum Section: String {
        case metadata
        case curve
    }

    init(_ content: borrowing Span<UInt8>, path: String) throws(CurveKeyError) {
        var section: Section?
        var sections: Set<Section> = []
        var number = 0
        var start = 0
        while start < content.count {
            var end = start
            while end < content.count, content[end] != UInt8(ascii: "\n") { end += 1 }
            number += 1
            var line = start..<end
            start = end + 1
            if let last = line.last, content[last] == UInt8(ascii: "\r") { line.removeLast() }
            while let last = line.last, content[last] == UInt8(ascii: " ") { line.removeLast() }
            var body = line
            _ = body.dropSpaces(content)
            guard let first = body.first, content[first] != UInt8(ascii: "#") else { continue }
            if body.lowerBound == line.lowerBound {
                // The error does not quote the line, which could be a secret.
                guard body.count <= 8,
                    let named = Section(
                        rawValue: String(decoding: body.map { content[$0] }, as: UTF8.self)),
                    sections.insert(named).inserted
                else {
                    throw CurveKeyError(
                        path, "line \(number): expected the section metadata or curve, once each")
                }
                section = named
            } else if section == .curve {
                try read(body, of: content, path, number)
            } else if section == nil {
                throw CurveKeyError(
                    path, "line \(number): expected the section metadata or curve first")
            }
        }
    }

    /// Reads `name = "value"`; an error does not quote the line, which may be a secret.
    private mutating func read(
        _ body: Range<Int>, of content: borrowing Span<UInt8>, _ path: String, _ number: Int
    ) throws(CurveKeyError) {
        let wrong = CurveKeyError(
            path, "line \(number): expected public-key or secret-key, once each, = and a quoted key"
        )
        var rest = body
        while let byte = rest.first.map({ content[$0] }), byte != 0x20, byte != 0x3d {
            rest.removeFirst()
        }
        let name = body.lowerBound..<rest.lowerBound
        guard name.count == 10, rest.dropSpaces(content), rest.drop(0x3d, content),
            rest.dropSpaces(content), rest.drop(0x22, content),
            let last = rest.last, content[last] == 0x22
        else { throw wrong }
        let value = rest.lowerBound..<last
        guard value.allSatisfy({ content[$0] != 0x22 }) else { throw wrong }
        switch String(decoding: name.map { content[$0] }, as: UTF8.self) {
        case "public-key" where publicKey == nil: publicKey = value
        case "secret-key" where secretKey == nil: secretKey = value
        default: throw wrong
        }
    }
}

extension Range<Int> {
    fileprivate mutating func removeFirst() { self = (lowerBound + 1)..<upperBound }

    fileprivate mutating func removeLast() { self = lowerBound..<(upperBound - 1) }

    /// Passes over the next byte if it is this one; answers whether it was.
    fileprivate mutating func drop(_ byte: UInt8, _ content: borrowing Span<UInt8>) -> Bool {
        guard let first, content[first] == byte else { return false }
        removeFirst()
        return true
    }

    /// Always true.
    fileprivate mutating func dropSpaces(_ content: borrowing Span<UInt8>) -> Bool {
        while drop(0x20, content) {}
        return true
    }
}
