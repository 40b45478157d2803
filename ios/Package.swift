// swift-tools-version: 6.0
import PackageDescription

// `cargo xtask bindings --language swift --out ios/.generated` makes the two generated modules; on a Mac the library comes as an
// XCFramework instead of from a folder.
let generated = ".generated/swift"
let library = Context.packageDirectory + "/../target/debug/deps"

let package = Package(
    name: "Tazune",
    products: [.library(name: "Tazune", targets: ["Tazune"])],
    targets: [
        .target(name: "TazuneFFI", path: generated + "/TazuneFFI"),
        .target(
            name: "Tazune",
            dependencies: ["TazuneFFI"],
            path: generated + "/Tazune",
            // The compiler refuses generated code in the mode of Swift 6.
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: [.unsafeFlags(["-L" + library, "-ltazune", "-Xlinker", "-rpath", "-Xlinker", library])]
        ),
        .target(name: "HostSupport", dependencies: ["Tazune"]),
        .executableTarget(name: "visit-child", dependencies: ["HostSupport", "Tazune"]),
        .testTarget(name: "HostTests", dependencies: ["HostSupport", "Tazune", "visit-child"]),
    ],
    swiftLanguageModes: [.v6]
)
