// The options of the shim as the command line spells them, with their help. Each is a text that ShimSettings.swift
// (LlorchHTTP) merges with the other places; nil was not given.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchHTTP

/// A help text with the default that the table of settings has.
private func help(_ text: String, _ valueName: String, of setting: String) -> ArgumentHelp {
    let standard = ShimSettings.standard(setting)
    let suffix = standard.isEmpty ? "" : " (default: \(standard))"
    return ArgumentHelp("\(text)\(suffix)", valueName: valueName)
}

/// The options that were given, by the names of their settings.
private func given(_ options: KeyValuePairs<String, String?>) -> [String: [String]] {
    var given: [String: [String]] = [:]
    for (name, value) in options { given[name] = value.map { [$0] } }
    return given
}

struct HTTPOptions: ParsableArguments {
    @Option(
        help: help(
            "Address to listen on; beyond this machine only with a token.", "address", of: "host"))
    var host: String?

    @Option(
        parsing: .unconditional,
        help: help(
            "Port to listen on; 0 takes a free port and prints it.", "port", of: "port"))
    var port: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            A file with the token that clients must show as `Authorization: Bearer TOKEN`. Without this \
            option the token is taken from LLORCH_API_TOKEN, if set. /health, /livez and the page at / need \
            no token.
            """, valueName: "file"))
    var tokenFile: String?

    @Option(
        name: .customLong("allowed-host"),
        help: ArgumentHelp(
            """
            A name that clients may use in the Host header, besides localhost, --host and numeric \
            addresses. Repeatable.
            """, valueName: "name"))
    var allowedHosts: [String] = []

    @Option(
        name: .customLong("allowed-origin"),
        help: ArgumentHelp(
            """
            An origin, such as https://app.example, whose web pages may use this server from a browser. \
            The page that this server serves at / needs none. Repeatable.
            """, valueName: "origin"))
    var allowedOrigins: [String] = []

    @Option(
        parsing: .unconditional,
        help: help(
            "Seconds that open streams may still take after SIGTERM, SIGINT, SIGHUP or POST /shutdown.",
            "seconds", of: "drain-timeout"))
    var drainTimeout: String?

    var given: [String: [String]] {
        var given = llorch_http_shim.given([
            "host": host, "port": port, "token-file": tokenFile, "drain-timeout": drainTimeout,
        ])
        if !allowedHosts.isEmpty { given["allowed-host"] = allowedHosts }
        if !allowedOrigins.isEmpty { given["allowed-origin"] = allowedOrigins }
        return given
    }
}

struct QueueOptions: ParsableArguments {
    @Option(help: help("Where workers send their events.", "bind:address", of: "events"))
    var events: String?

    @Option(
        name: .customLong("worker"),
        help: ArgumentHelp(
            """
            Reach the worker of this name by these addresses instead of those that it announces. An \
            address that begins with bind: is bound here, for a worker that connects. Repeatable.
            """, valueName: "name=jobs,control"))
    var workers: [String] = []

    @OptionGroup var access: AccessOptions

    @Option(
        parsing: .unconditional,
        help: help(
            "Jobs that may wait; a further job is answered 503.", "jobs", of: "backlog"))
    var backlog: String?

    var given: [String: [String]] {
        var given = llorch_http_shim.given([
            "events": events, "backlog": backlog,
        ]).merging(access.given) { first, _ in first }
        if !workers.isEmpty { given["worker"] = workers }
        return given
    }
}

/// What starters of worker-http workers pass.
struct ContractOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The name under which this server reports itself in the callback and in its log.",
            valueName: "id"))
    var workerId: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Where to POST once the port is open and the first worker serves; http only. It is tried \
            seven times in some six seconds, then this program ends with status 1. A URL that contains \
            localhost:9999 is not called.
            """, valueName: "url"))
    var callbackUrl: String?

    @Option(
        parsing: .unconditional,
        help: help(
            "The host in the `uri` that the callback reports.", "host", of: "callback-host"))
    var callbackHost: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            The model that is expected: reported as model_ref, and compared with the first worker's \
            model. Another model is a warning in the log. Workers load models, this program loads none.
            """, valueName: "name"))
    var model: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Without effect: workers compute on CPUs. The log says so.", valueName: "number"))
    var gpuDevice: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Tokens that a prompt may have. A worker counts them when it begins the job, so a longer \
            prompt is refused then. (default: the model's context)
            """, valueName: "tokens"))
    var maxTokensIn: String?

    @Option(
        parsing: .unconditional,
        help: help(
            "Tokens that a job may ask for; a job that asks for no number gets this many at most.",
            "tokens", of: "max-tokens-out"))
    var maxTokensOut: String?

    @Option(
        parsing: .unconditional,
        help: help(
            """
            Seconds after its request at which a job ends with INFERENCE_TIMEOUT, unless its X-Deadline \
            is earlier; 0 sets no limit.
            """, "seconds", of: "inference-timeout-sec"))
    var inferenceTimeoutSec: String?

    var given: [String: [String]] {
        llorch_http_shim.given([
            "worker-id": workerId, "callback-url": callbackUrl, "callback-host": callbackHost,
            "model": model, "gpu-device": gpuDevice, "max-tokens-in": maxTokensIn,
            "max-tokens-out": maxTokensOut, "inference-timeout-sec": inferenceTimeoutSec,
        ])
    }
}

struct StartOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "A YAML file of settings. Without this option LLORCH_CONFIG may name it.",
            valueName: "file"))
    var config: String?

    @Flag(help: "Print the merged settings as YAML, each with where it came from, and exit.")
    var printConfig = false

    @Option(
        help: help(
            """
            The least severe level that is logged: trace, debug, info, notice, warning, error or \
            critical.
            """, "level", of: "log-level"))
    var logLevel: String?

    @Option(
        help: help(
            "How log lines look: text, json, or auto: text where standard error is a terminal, else json.",
            "format", of: "log-format"))
    var logFormat: String?

    var given: [String: [String]] {
        llorch_http_shim.given(["log-level": logLevel, "log-format": logFormat])
    }
}
