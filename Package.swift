// swift-tools-version: 6.3
// llorch: a GPT-2 inference worker fed over ZeroMQ. Targets stand in dependency order.
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// scripts/check and scripts/test set it. It is no flag of the command line, because there it would meet
// the one that silences the warnings of dependencies.
let isStrict = Context.environment["LLORCH_STRICT"] != nil
let strict: [SwiftSetting] = isStrict ? [.treatAllWarnings(as: .error)] : []
let strictC: [CSetting] = isStrict ? [.treatAllWarnings(as: .error)] : []

let settings: [SwiftSetting] =
    strict + [
        .swiftLanguageMode(.v6),
        // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0335-existential-any.md
        .enableUpcomingFeature("ExistentialAny"),
        // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0409-access-level-on-imports.md
        .enableUpcomingFeature("InternalImportsByDefault"),
        // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0444-member-import-visibility.md
        .enableUpcomingFeature("MemberImportVisibility"),
        // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0461-async-function-isolation.md
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        // Needed to return spans from our own noncopyable owners.
        .enableExperimentalFeature("Lifetimes"),
    ]

let package = Package(
    name: "llorch",
    products: [
        .library(name: "LlorchEngine", targets: ["LlorchEngine"]),
        .executable(name: "llorch-worker", targets: ["llorch-worker"]),
        .executable(name: "llorch-http-shim", targets: ["llorch-http-shim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        // The settings file is read by Yams: see docs/decisions/0014.
        .package(
            url: "https://github.com/apple/swift-configuration.git", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        // Without its traits it needs no swift-configuration.
        .package(
            url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0",
            traits: []),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CZMQ", pkgConfig: "libzmq", providers: [.apt(["libzmq3-dev"])]),
        .target(name: "CLlorchKernels", cSettings: strictC),
        .target(name: "CLlorchSystem", cSettings: strictC),
        // The malloc family of the programs; the library LlorchEngine does not have it.
        .target(name: "CLlorchAllocation", cSettings: strictC),
        .target(
            name: "LlorchSystem", dependencies: ["CLlorchSystem"],
            swiftSettings: settings + [.strictMemorySafety()]),
        .target(name: "LlorchJSON", swiftSettings: settings),
        .target(name: "LlorchProtocol", dependencies: ["LlorchJSON"], swiftSettings: settings),
        .target(
            name: "LlorchEngine",
            dependencies: ["CLlorchKernels", "LlorchJSON", "LlorchProtocol", "LlorchSystem"],
            swiftSettings: settings + [.strictMemorySafety()]),
        .target(
            name: "LlorchQueue",
            dependencies: ["CZMQ", "LlorchProtocol", "LlorchSystem"],
            swiftSettings: settings + [.strictMemorySafety()]),
        .target(
            name: "LlorchLog",
            dependencies: ["LlorchSystem", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        .target(
            name: "LlorchCommandLine",
            dependencies: [
                "CLlorchAllocation", "LlorchLog", "LlorchQueue", "LlorchSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "LlorchConfiguration",
            dependencies: [
                "LlorchSystem", .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings),
        .target(
            name: "LlorchWorker",
            dependencies: [
                "LlorchEngine", "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue",
                "LlorchSystem", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "LlorchHTTP",
            dependencies: [
                "LlorchConfiguration", "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue",
                "LlorchSystem",
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            // In the program itself: there is no folder of files to be shipped beside it.
            resources: [
                "page.html", "page.css", "icon.svg", "main.js", "chart.js", "events.js", "form.js",
                "job.js", "server.js", "text.js", "token.js", "words.js", "workers.js",
            ].map { .embedInCode("Page/\($0)") } + [.embedInCode("Description/openapi.json")],
            swiftSettings: settings),
        .executableTarget(
            name: "llorch-worker",
            dependencies: [
                "LlorchCommandLine", "LlorchWorker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "llorch-http-shim",
            dependencies: [
                "LlorchCommandLine", "LlorchConfiguration", "LlorchHTTP",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "engine-example", dependencies: ["LlorchEngine"], path: "examples/Engine",
            swiftSettings: settings),
        // What a change may not cost: docs/benchmarks.md. They use `package` declarations, which a package
        // of their own could not.
        .target(
            name: "CAllocationCounter", path: "Benchmarks/CAllocationCounter", cSettings: strictC),
        .executableTarget(
            name: "allocation-gate",
            dependencies: ["CAllocationCounter", "LlorchEngine", "LlorchJSON", "LlorchProtocol"],
            path: "Benchmarks/AllocationGate", swiftSettings: settings),
        .executableTarget(
            name: "instruction-counts", dependencies: ["LlorchEngine", "LlorchProtocol"],
            path: "Benchmarks/InstructionCounts", swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: ["LlorchEngine", "LlorchJSON", "LlorchProtocol", "LlorchSystem"],
            path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(
            name: "LlorchJSONTests", dependencies: ["LlorchJSON", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "LlorchProtocolTests",
            dependencies: ["LlorchJSON", "LlorchProtocol", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "LlorchEngineTests",
            dependencies: ["LlorchEngine", "LlorchJSON", "LlorchProtocol", "TestSupport"],
            swiftSettings: settings),
        .testTarget(name: "ArchitectureTests", swiftSettings: settings),
        .testTarget(
            name: "LlorchSystemTests", dependencies: ["LlorchSystem", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "LlorchCommandLineTests",
            dependencies: [
                "LlorchCommandLine", "LlorchLog", "LlorchQueue", "LlorchSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "LlorchConfigurationTests",
            dependencies: ["LlorchConfiguration", "LlorchSystem"], swiftSettings: settings),
        .testTarget(
            name: "LlorchLogTests",
            dependencies: [
                "LlorchLog", "LlorchSystem", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "LlorchQueueTests",
            dependencies: [
                "LlorchEngine", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "TestSupport",
            ],
            swiftSettings: settings),
        // The worker of the fault tests, with known tokens and planned crashes; no part of what is shipped.
        .executableTarget(
            name: "stub-worker",
            dependencies: [
                "LlorchCommandLine", "LlorchEngine", "LlorchProtocol", "LlorchQueue",
                "LlorchSystem", "LlorchWorker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/StubWorker", swiftSettings: settings),
        .testTarget(
            name: "LlorchWorkerTests",
            dependencies: [
                "LlorchEngine", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "LlorchWorker",
                "TestSupport", "stub-worker",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        // Fixtures are read where they lie: copying them beside the tests would copy models too.
        .testTarget(
            name: "CheckpointTests",
            dependencies: [
                "LlorchEngine", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "LlorchWorker",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["Fixtures"], swiftSettings: settings),
        .testTarget(
            name: "LlorchHTTPTests",
            dependencies: [
                "LlorchConfiguration", "LlorchEngine", "LlorchHTTP", "LlorchJSON", "LlorchLog",
                "LlorchProtocol", "LlorchQueue", "LlorchSystem", "LlorchWorker", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
    ]
)
