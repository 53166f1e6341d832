// The state directory: made where it can be, refused where it cannot be used.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import LlorchWorker
import TestSupport
import Testing

@Suite struct StateDirectoryTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func refusal(_ path: String) -> String? {
        do throws(StateDirectoryError) {
            try StateDirectory.prepare(path)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func oneThatIsMissingIsMadeForItsOwner() throws {
        let path = folder.path + "/state"
        #expect(refusal(path) == nil)
        #expect(try PathKind(path: path) == .directory)
        #expect(refusal(path) == nil, "a second start finds it")
    }

    @Test func aParentIsNotMade() throws {
        let path = folder.path + "/none/state"
        #expect(refusal(path)?.contains("its parent directory must exist") == true)
        #expect(try PathKind(path: folder.path + "/none") == .nothing)
    }

    @Test func aFileIsLeftAlone() throws {
        let path = try folder.write("precious", to: "state")
        #expect(refusal(path)?.contains("Not a directory") == true)
        #expect(try RegularFile.contents(of: path, limit: 100) == Array("precious".utf8))
    }
}
