// Every setting of the shim, with its default: the names of its options, of its variables `LLORCH_…`, and of the keys
// of its configuration file. What their values mean: ShimArguments.swift. Their help: the executable llorch-http-shim.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import LlorchConfiguration
import LlorchQueue

package enum ShimSettings {
    /// In the order in which `--print-config` prints them.
    package static let table = [
        Setting("host", standard: "127.0.0.1"),
        Setting("port", oldVariable: "PORT", standard: "3000"),
        Setting("token-file"),
        Setting("allowed-host", .list),
        Setting("allowed-origin", .list),
        Setting("events", standard: QueueSocket.dispatcherEvents.defaultAddress),
        Setting("worker", .list),
        Setting("curve-secret-key"),
        Setting("curve-allowed-keys"),
        Setting("curve-server-key"),
        Setting("insecure-bind", .flag, standard: "false"),
        Setting("backlog", standard: "1000"),
        Setting("drain-timeout", standard: "5"),
        Setting("worker-id", oldVariable: "WORKER_ID"),
        Setting("callback-url", oldVariable: "CALLBACK_URL"),
        Setting("callback-host", standard: "localhost"),
        Setting("model", oldVariable: "MODEL_PATH"),
        Setting("gpu-device"),
        Setting("max-tokens-in"),
        Setting("max-tokens-out", standard: "2048"),
        Setting("inference-timeout-sec", standard: "300"),
        Setting("log-level", standard: "info"),
        Setting("log-format", standard: "auto"),
    ]

    /// The default of a setting, for the help.
    package static func standard(_ name: String) -> String {
        table.first { $0.name == name }?.standard.first ?? ""
    }

    private static let configVariable = "LLORCH_CONFIG"

    /// Merges the options that were given with the environment and the configuration file.
    ///
    /// `given` has the values of options by their names without dashes, `configFile` that of `--config`; nil takes
    /// `LLORCH_CONFIG`, if set.
    package static func merged(
        given: [String: [String]], configFile: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(SettingError) -> Settings {
        let path = configFile ?? environment[configVariable]
        if path == "" {
            throw SettingError(
                "\(configFile == nil ? configVariable : "--config"): expected the name of a file",
                isUsage: configFile != nil)
        }
        var file: ConfigurationFile?
        if let path { file = try ConfigurationFile(path: path, table: table) }
        return try Settings(table: table, given: given, environment: environment, file: file)
    }
}
