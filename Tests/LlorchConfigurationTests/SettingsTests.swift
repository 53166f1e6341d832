// Settings merged from command line, environment and file, and what is said about bad ones.
// SPDX-License-Identifier: Apache-2.0

import LlorchConfiguration
import Testing

private let table = [
    Setting("port", oldVariable: "PORT", standard: "3000"), Setting("max-tokens-in"),
    Setting("worker", .list), Setting("insecure-bind", .flag, standard: "false"),
]

@Suite struct SettingsTests {
    private func merged(
        _ given: [String: [String]] = [:], _ environment: [String: String] = [:],
        yaml: String? = nil
    ) throws -> Settings {
        let file = try yaml.map {
            try ConfigurationFile(path: "a.yaml", bytes: Array($0.utf8), table: table)
        }
        return try Settings(table: table, given: given, environment: environment, file: file)
    }

    @Test func theFirstPlaceThatHasAValueCounts() throws {
        let environment = ["LLORCH_PORT": "2", "PORT": "3"]
        let yaml = "port: 4\n"
        let all = try merged(["port": ["1"]], environment, yaml: yaml)
        #expect(all["port"] == Settings.Value(texts: ["1"], source: .commandLine))
        let variables = try merged([:], environment, yaml: yaml)
        #expect(variables["port"] == Settings.Value(texts: ["2"], source: .variable("LLORCH_PORT")))
        let old = try merged([:], ["PORT": "3"], yaml: yaml)
        #expect(old["port"] == Settings.Value(texts: ["3"], source: .variable("PORT")))
        let file = try merged([:], [:], yaml: yaml)
        #expect(file["port"] == Settings.Value(texts: ["4"], source: .file("a.yaml")))
        #expect(try merged()["port"] == Settings.Value(texts: ["3000"], source: .standard))
        #expect(try merged()["max-tokens-in"] == nil)
    }

    @Test func listsAndFlagsComeFromEveryPlace() throws {
        let yaml = "worker: [\"a=b,c\", d]\ninsecure-bind: true\n"
        let file = try merged([:], [:], yaml: yaml)
        #expect(file.list("worker") == ["a=b,c", "d"])
        #expect(try file.isOn("insecure-bind"))
        let variables = try merged(
            [:], ["LLORCH_WORKER": "a=b,c  d", "LLORCH_INSECURE_BIND": "false"], yaml: yaml)
        #expect(variables.list("worker") == ["a=b,c", "d"])
        #expect(try !variables.isOn("insecure-bind"))
        #expect(try merged([:], [:], yaml: "worker: one\n").list("worker") == ["one"])
    }

    @Test func aBadValueIsNamedByItsPlace() throws {
        let expected = [
            (try merged(["port": ["x"]]), "--port x: expected 0 to 9", true),
            (try merged([:], ["LLORCH_PORT": "x"]), "LLORCH_PORT=x: expected 0 to 9", false),
            (try merged([:], ["PORT": ""]), "PORT=: expected 0 to 9", false),
            (try merged([:], [:], yaml: "port: x\n"), "a.yaml: port: x: expected 0 to 9", false),
        ]
        for (settings, text, isUsage) in expected {
            let error = try #require(throws: SettingError.self) {
                try settings.number("port", in: 0...9)
            }
            #expect(error == SettingError(text, isUsage: isUsage))
        }
        let flag = try merged([:], ["LLORCH_INSECURE_BIND": "1"])
        #expect(throws: SettingError.self) { try flag.isOn("insecure-bind") }
    }

    @Test(arguments: [
        (
            "prt: 1\n",
            "a.yaml:1: unknown key prt; expected one of insecure-bind, max-tokens-in, port"
        ),
        ("<<: {port: 1}\n", "a.yaml:1: unknown key <<;"),
        ("\"a\\nb\": 1\n", #"unknown key a\nb;"#),
        ("[a]: 1\n", "unknown key a key that is no text"),
        ("port: 1\nport: 2\n", "a key appears twice"),
        ("port:\n", "a.yaml:1: port: expected a value, found none"),
        ("port: ~\n", "port: expected a value, found none"),
        ("port: [1]\n", "port: expected one value"), ("port: {a: 1}\n", "port: expected one value"),
        ("worker: {a: 1}\n", "worker: expected a list of texts"),
        ("worker: [[a]]\n", "worker: expected a list of texts"),
        ("worker: [~]\n", "worker: expected a list of texts"),
        ("- port\n", "expected lines of the form `key: value`"), ("port\n", "expected lines"),
        ("port: 1\n---\nport: 2\n", "another document"), ("port: \"1\n", "a.yaml:"),
        ("a: &a 1\n", "a.yaml:1: anchors"), ("x: 1\ny: [&a 1, *a]\n", "a.yaml:2: anchors"),
        ("port: *a\n", "undefined alias"), ("port: \u{1}\n", "a.yaml"),
        (String(repeating: "[", count: 5_000), "a.yaml"),
        (String(repeating: "{a: ", count: 5_000), "a.yaml"),
    ])
    func anotherFileIsRefused(yaml: String, words: String) throws {
        let error = try #require(throws: SettingError.self) { try merged([:], [:], yaml: yaml) }
        #expect(error.description.contains(words), "\(error)")
        #expect(!error.isUsage && error.description.hasPrefix("a.yaml"))
        #expect(!error.description.contains("\n"))
    }

    @Test func aFileMayBeEmptyAndHaveAQuery() throws {
        for yaml in ["", "# nothing\n", "---\n"] {
            #expect(try merged([:], [:], yaml: yaml)["port"]?.source == .standard)
        }
        let file = try merged([:], [:], yaml: "worker: http://a/b?c=1&d=2\n")
        #expect(file.list("worker") == ["http://a/b?c=1&d=2"])
        #expect(throws: SettingError.self) {
            try ConfigurationFile(path: "a.yaml", bytes: [0x61, 0x3A, 0x20, 0xFF], table: table)
        }
    }

    @Test func whatIsPrintedReadsBack() throws {
        let hostile = "a \"b\" \\ é \n # : {"
        let settings = try merged(
            ["max-tokens-in": [hostile], "worker": ["x", hostile]], ["PORT": "7"])
        let yaml = settings.yaml(of: "test", notes: ["a note"])
        #expect(yaml.contains("port: \"7\"  # PORT\n"))
        #expect(
            yaml.contains("insecure-bind: \"false\"  # default\n") && yaml.contains("# a note\n"))
        let again = try merged([:], [:], yaml: yaml)
        for setting in table {
            #expect(again[setting.name]?.texts == settings[setting.name]?.texts)
        }
        #expect(try merged().yaml(of: "test").contains("# max-tokens-in: not set\n"))
    }
}
