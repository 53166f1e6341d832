// What both programs read alike from their command lines. The programs themselves: Tests/EndToEndTests.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchQueue
import LlorchSystem
import Logging
import Testing

@Suite struct SharedOptionsTests {
    @Test func keyFilesAreThoseNamed() throws {
        let none = try AccessOptions.parse([])
        #expect(none.keyFiles == QueueKeyFiles(secretKey: nil, allowedKeys: nil, serverKey: nil))
        #expect(!none.mayBeExposed && !none.isInsecureBind)
        let all = try AccessOptions.parse([
            "--curve-secret-key", "s", "--curve-allowed-keys", "a", "--curve-server-key", "k",
        ])
        #expect(all.keyFiles == QueueKeyFiles(secretKey: "s", allowedKeys: "a", serverKey: "k"))
        #expect(all.mayBeExposed && !all.isInsecureBind)
        let insecure = try AccessOptions.parse(["--insecure-bind"])
        #expect(insecure.mayBeExposed && insecure.isInsecureBind)
    }

    @Test func levelsAreThoseOfTheLog() throws {
        #expect(try LogOptions.parse([]).makeLogger(label: "a").logLevel == .info)
        let options = try LogOptions.parse(["--log-level", "trace"])
        #expect(options.makeLogger(label: "a").logLevel == .trace)
        #expect(throws: (any Error).self) { try LogOptions.parse(["--log-level", "loud"]) }
    }

    @Test(arguments: [("0", 0), ("0.1", 100), ("5", 5_000), ("86400", 86_400_000)])
    func aDrainTimeoutIsSeconds(text: String, milliseconds: Int) throws {
        #expect(try DrainTimeout.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "-1", "x", "nan", "inf", "86401", "5s"])
    func anotherDrainTimeoutIsRefused(text: String) {
        #expect(throws: ValidationError.self) { try DrainTimeout.parse(text) }
    }

    @Test func aFailedCheckIsABadCommandLine() throws {
        #expect(try Program.checkUsage { 1 } == 1)
        let error = try #require(throws: ValidationError.self) {
            try Program.checkUsage { try QueueEndpoint(parsing: "nonsense", default: .bind) }
        }
        #expect("\(error)".hasPrefix("nonsense: "))
    }

    @Test func theVersionNamesTheProgram() {
        #expect(Program.version(of: "llorch-worker") == "llorch-worker \(Version.current)")
        #expect(Version.current.split(separator: ".").count == 3)
    }
}
