// Files of text that a person names: a regular file, `-` for standard input, a named pipe, `<(…)`. Read from front to
// back, with a bound. A model's files, which are read in slices: RegularFile.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why a text cannot be read.
package struct InputError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ error: FileError) { description = "\(error)" }

    init(reading name: String, _ error: SystemError) {
        self.init(FileError(name, error.code == EISDIR ? .isDirectory : .unreadable(error)))
    }

    init(_ name: String, longerThan limit: Int) {
        description = "\(name): is longer than \(limit) bytes"
    }
}

package enum InputFile {
    /// The name by which errors call standard input.
    package static let standardInput = "standard input"

    /// All bytes of a file that has at most `limit` of them; waits for who writes into a pipe.
    package static func contents(of path: String, limit: Int) throws(InputError) -> [UInt8] {
        if path == "-" { return try contents(of: STDIN_FILENO, named: standardInput, limit: limit) }
        let descriptor = try open(path)
        let status: FileStatus
        do throws(SystemError) {
            status = try descriptor.status()
        } catch {
            throw InputError(FileError(path, error))
        }
        guard status.kind != .directory else { throw InputError(FileError(path, .isDirectory)) }
        if status.kind == .file, status.size > limit {
            throw InputError(FileError(path, .tooLarge(size: status.size, limit: limit)))
        }
        return try contents(of: descriptor.rawValue, named: path, limit: limit)
    }

    private static func open(_ path: String) throws(InputError) -> Descriptor {
        do throws(SystemError) {
            return try Descriptor(opening: path, O_RDONLY | O_NOCTTY)
        } catch {
            throw InputError(FileError(path, error))
        }
    }

    /// All bytes until the end of standard input.
    package static func standardInput(limit: Int = 1 << 30) throws(InputError) -> [UInt8] {
        try contents(of: STDIN_FILENO, named: standardInput, limit: limit)
    }

    private static func contents(
        of descriptor: Int32, named name: String, limit: Int
    ) throws(InputError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try read(from: descriptor, named: name, into: &buffer)
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else { throw InputError(name, longerThan: limit) }
            bytes += buffer[..<count]
        }
    }

    /// Reads what comes next into `buffer`; gives the number of bytes, 0 at the end.
    fileprivate static func read(
        from descriptor: Int32, named name: String, into buffer: inout [UInt8]
    ) throws(InputError) -> Int {
        do throws(SystemError) {
            var span = buffer.mutableSpan
            return try unsafe span.withUnsafeMutableBytes { buffer throws(SystemError) in
                try unsafe Descriptor.read(from: descriptor, into: buffer)
            }
        } catch {
            throw InputError(reading: name, error)
        }
    }
}

/// Lines of standard input, one after another.
package struct InputLines {
    private var pending: [UInt8] = []
    private var hasEnded = false
    /// Bytes that a line may have.
    private static let limit = 1 << 16

    package init() {}

    /// The next line without its end; nil behind the last.
    package mutating func next() throws(InputError) -> String? {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return line
            }
            if hasEnded {
                defer { pending = [] }
                return pending.isEmpty ? nil : String(decoding: pending, as: UTF8.self)
            }
            guard pending.count < Self.limit else {
                throw InputError("a line of \(InputFile.standardInput)", longerThan: Self.limit)
            }
            try fill()
        }
    }

    private mutating func fill() throws(InputError) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try InputFile.read(
            from: STDIN_FILENO, named: InputFile.standardInput, into: &buffer)
        hasEnded = count == 0
        pending += buffer[..<count]
    }
}
