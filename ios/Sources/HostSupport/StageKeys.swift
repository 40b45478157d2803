import Foundation
import Tazune

/// The device's keys where an app cannot take them out: another process plays the phone's hardware, and they outlive the app.
public final class StageKeys: KeyStore {
    private let stage: Stage
    private let phone: String

    /// The keys of the phone whose app has its data in this folder.
    public init(stage: Stage, of folder: String) {
        self.stage = stage
        phone = String(folder.split(separator: "/").last ?? "phone")
    }

    public func makeKeys() throws {
        _ = try asked("make")
    }

    public func transportPublic() throws -> Data {
        try asked("public")
    }

    public func sign(bytes: Data) throws -> Data {
        try asked("sign", bytes)
    }

    public func wrapKey(key: Data) throws -> Data {
        try asked("wrap", key)
    }

    public func unwrapKey(wrapped: Data) throws -> Data {
        try asked("unwrap", wrapped)
    }

    public func destroyStaffKey() throws {
        _ = try asked("destroy-staff")
    }

    public func destroyTransportKey() throws {
        _ = try asked("destroy-transport")
    }

    private func asked(_ verb: String, _ bytes: Data = Data()) throws -> Data {
        guard let answer = try? stage.ask("keys", phone, verb, hexadecimal(bytes)) else { throw KeyError.Missing }
        return try answer.first.map(self.bytes) ?? Data()
    }

    private func hexadecimal(_ bytes: Data) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func bytes(_ text: String) throws -> Data {
        let digits = Array(text)
        return try Data(stride(from: 0, to: digits.count, by: 2).map { at in
            guard let byte = UInt8(String(digits[at...at + 1]), radix: 16) else { throw KeyError.Failed }
            return byte
        })
    }
}
