// Files that a person names: regular ones and pipes, both with a bound.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct InputFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    @Test func aFileIsReadUpToItsBound() throws {
        let path = try folder.write([1, 2, 3], to: "f")
        #expect(try InputFile.contents(of: path, limit: 3) == [1, 2, 3])
        let error = try #require(throws: InputError.self) {
            try InputFile.contents(of: path, limit: 2)
        }
        #expect("\(error)" == "\(path): has 3 bytes, expected at most 2")
    }

    @Test func aPipeIsReadUpToItsBound() throws {
        try folder.makeNamedPipe("pipe")
        let path = "\(folder.path)/pipe"
        for (limit, isWhole) in [(200_000, true), (199_999, false)] {
            DetachedThread {
                signal(SIGPIPE, SIG_IGN)
                let bytes = [UInt8](repeating: 7, count: 200_000)
                // The reader leaves early where the bound is exceeded.
                try? Descriptor(opening: path, O_WRONLY).write(bytes.span)
            }.start()
            let result = Result { try InputFile.contents(of: path, limit: limit) }
            if isWhole {
                #expect(try result.get().count == 200_000)
            } else {
                let error = try #require(throws: InputError.self) { try result.get() }
                #expect("\(error)" == "\(path): is longer than 199999 bytes")
            }
        }
    }

    @Test func whatIsNoFileIsNamed() throws {
        for (path, reason) in [
            (folder.path, "is a directory, expected a file"),
            ("\(folder.path)/n", "does not exist"),
        ] {
            let error = try #require(throws: InputError.self) {
                try InputFile.contents(of: path, limit: 1)
            }
            #expect("\(error)" == "\(path): \(reason)")
        }
    }
}
