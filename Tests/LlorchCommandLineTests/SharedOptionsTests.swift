// What both programs read alike from their command lines. The programs themselves: Tests/EndToEndTests.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchLog
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
        #expect(try LogOptions.parse([]).output().makeLogger(label: "a").logLevel == .info)
        let options = try LogOptions.parse(["--log-level", "trace"])
        #expect(try options.output().makeLogger(label: "a").logLevel == .trace)
        #expect(throws: (any Error).self) { try LogOptions.parse(["--log-level", "loud"]) }
    }

    @Test func theFormatIsTheOptionsThenTheVariables() throws {
        let variable = ["LLORCH_LOG_FORMAT": "json"]
        #expect(try LogOptions.parse([]).output(environment: variable).isJSON)
        let text = try LogOptions.parse(["--log-format", "text"])
        #expect(try !text.output(environment: variable).isJSON)
        #expect(try LogOptions.parse(["--log-format", "json"]).output(environment: [:]).isJSON)
        let error = try #require(throws: LogOptions.VariableError.self) {
            try LogOptions.parse([]).output(environment: ["LLORCH_LOG_FORMAT": "xml"])
        }
        #expect("\(error)" == "LLORCH_LOG_FORMAT=xml: expected one of text, json, auto")
        #expect(throws: (any Error).self) { try LogOptions.parse(["--log-format", "xml"]) }
    }

    @Test(arguments: [("0", 0), ("0.1", 100), ("5", 5_000), ("86400", 86_400_000)])
    func aDrainTimeoutIsSeconds(text: String, milliseconds: Int) throws {
        #expect(try DrainTimeout.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "-1", "x", "nan", "inf", "86401", "5s"])
    func anotherDrainTimeoutIsRefused(text: String) {
        #expect(throws: ValidationError.self) { try DrainTimeout.parse(text) }
    }

    @Test(arguments: [("0", UInt64.min), ("18446744073709551615", UInt64.max)])
    func aSeedIsAWholeNumber(text: String, seed: UInt64) throws {
        #expect(try Seed.parse(text) == seed)
    }

    @Test(arguments: ["", "-1", "1.5", "x", "18446744073709551616"])
    func anotherSeedIsToldTheRange(text: String) throws {
        let error = try #require(throws: ValidationError.self) { try Seed.parse(text) }
        #expect("\(error)".contains("--seed \(text): expected a whole number, 0 to 18446744073709"))
    }

    @Test func aValueMayBeginWithTwoDashes() {
        let cases: [([String], [String])] = [
            (["a", "--stop", "---", "x"], ["a", "--stop=---", "x"]),
            (["--prompt", "--", "--stop", "--"], ["--prompt=--", "--stop=--"]),
            (["--model", "--x", "--json"], ["--model=--x", "--json"]),
            (["--prompt", "a", "--json"], ["--prompt", "a", "--json"]),
            (["--", "--prompt", "--x"], ["--", "--prompt", "--x"]),
            (["--seed", "--json", "--stop"], ["--seed", "--json", "--stop"]),
        ]
        for (arguments, expected) in cases { #expect(DashValues.joined(arguments) == expected) }
    }

    @Test func onlyNamesOfFilesMayBeOtherBytesThanText() throws {
        let raw = PathText.text([0x61, 0xE9])
        let permitted = [
            ["serve", "--model", raw], ["--model=\(raw)"], ["bench", "--tokenizer", "a", raw],
            ["keys", raw], ["keys", "--show", raw], ["--prompt", "é", "--state-directory", raw],
        ]
        for arguments in permitted { try ArgumentBytes.check(arguments) }
        let refused = [
            [raw], ["generate", "--prompt", raw], ["--prompt=\(raw)"], ["--worker-id", raw],
            ["--model", "a", "--stop", raw], ["--\(raw)"], ["--model\(raw)=a"],
        ]
        for arguments in refused {
            let error = try #require(throws: ValidationError.self, "\(arguments)") {
                try ArgumentBytes.check(arguments)
            }
            #expect("\(error)".contains("argument \(arguments.count), '"))
            #expect("\(error)".contains(#"a\xE9"#))
        }
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
