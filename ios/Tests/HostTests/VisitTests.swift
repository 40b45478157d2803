import Foundation
import HostSupport
import Tazune
import Testing

/// The whole way from Swift: generated code, the Rust library, a card port in Swift, keys of another process, the real hub.
@Suite(.serialized)
struct VisitTests {
    private let clinic: Clinic
    private let folder: String

    private var stage: Stage { clinic.stage }

    init() throws {
        clinic = try Clinic.shared.get()
        folder = NSTemporaryDirectory() + "tazune-" + UUID().uuidString
    }

    @Test func appAndLibraryThatDoNotBelongTogetherAreToldApartInWords() async throws {
        try checkLibrary(contract: contract, language: .ja)
        #expect(await failure { try checkLibrary(contract: "0.0.9+feedfacefeedface", language: .en) }?.remedy.isEmpty == false)
        #expect(await failure { try checkLibrary(contract: "", language: .en) }?.title == "The parts of this app do not belong together")
        #expect(await failure { try checkLibrary(contract: "", language: .ja) }?.code == "TZ-B01")
    }

    @Test func aDeviceIsPairedAndAVisitArrivesAtTheClinicOnce() async throws {
        let device = try await paired()
        try await visit(device) { session, reader in
            try stage.hold("valid", to: reader)
            var triesLeft: [UInt8] = []
            let last = try await session.until("sealed") { screen in
                if case .enterPin(let tries) = screen.body { triesLeft.append(tries) }
            }
            #expect(triesLeft == [3])
            try await arrives(last.recordId, from: device)
        }
    }

    @Test func aWrongPinIsToldWithTheTriesThatAreLeft() async throws {
        let device = try await paired()
        try await visit(device) { session, reader in
            try stage.hold("elder", to: reader)
            try await session.until("enter-pin")
            let entries = try stage.card("elder").pinEntries
            try await session.type([9, 9, 9, 9])
            let again = try await session.until("enter-pin")
            #expect(again.failure?.code == "TZ-C10")
            #expect(again.body == .enterPin(triesLeft: 2))
            #expect(try stage.card("elder").triesLeft == 2)
            try await session.until("sealed")
            #expect(try stage.card("elder").pinEntries == entries + 2, "no PIN was sent twice")
        }
    }

    @Test func aVisitOfAnAppThatWasKilledBeforeThePinGoesOnWhereItWas() async throws {
        _ = try await paired()
        try killed(at: "enter-pin")
        let device = try await device(in: folder, stage: stage)
        let drafts = try await device.drafts()
        try #require(drafts.count == 1)
        try await visit(device, draft: drafts[0].id) { session, reader in
            try stage.hold("valid", to: reader)
            var shown: [String] = []
            let last = try await session.until("sealed") { shown.append($0.word) }
            #expect(!shown.contains("consent"), "the consent was kept")
            #expect(shown.contains("enter-pin"), "the PIN was not")
            try await arrives(last.recordId, from: device)
        }
        #expect(try await device.drafts().isEmpty)
    }

    @Test func aRecordOfAnAppThatWasKilledAfterSealingIsDeliveredByTheNext() async throws {
        _ = try await paired()
        try killed(at: "sealed")
        let device = try await device(in: folder, stage: stage)
        #expect(try await device.drafts().isEmpty)
        let records = try await device.queue().records
        try #require(records.count == 1)
        #expect(records[0].delivery == .sealed)
        try await arrives(records[0].id, from: device)
    }

    @Test func cancelLeavesTheCardDeselectedAndTheVisitAsADraft() async throws {
        let device = try await paired()
        try await visit(device) { session, reader in
            try stage.hold("valid", to: reader)
            try await session.until("enter-pin")
            #expect(try !stage.card("valid").isLeft)
            async let next = session.nextScreen()
            #expect(await session.cancel().word == "enter-pin")
            #expect(await next == nil)
            #expect(try stage.card("valid").isLeft)
            await #expect(throws: TazuneError.Over) { try await session.send(intent: .continue) }
        }
        try await device.discardVisit(draft: device.drafts()[0].id)
        #expect(try await device.drafts().isEmpty)
    }

    @Test func waitingForACardAndWaitingForTheClinicEndWhenTheyAreCancelled() async throws {
        let device = try await paired()
        try await visit(device) { session, _ in
            try await session.until("hold-card-reading")
            _ = await session.cancel()
        }
        try await device.discardVisit(draft: device.drafts()[0].id)
        let attempt = try await device.pair(offer: stage.ask("offer")[0], about: about)
        let waiting = Task { try await attempt.finish() }
        try await Task.sleep(for: .milliseconds(200))
        attempt.cancel()
        await #expect(throws: TazuneError.Cancelled) { try await waiting.value }
        await #expect(throws: TazuneError.Over) { try await attempt.finish() }
    }

    @Test func whatAKeyStoreThrowsBesidesItsErrorsBecomesAFailureThatRepeatsNothing() async throws {
        let keys = OddKeys(makeKeys: { throw Marked() }, others: StageKeys(stage: stage, of: folder))
        let device = try await device(in: folder, stage: stage, keys: keys)
        let offer = try stage.ask("offer")[0]
        let failed = try #require(await failure { _ = try await device.pair(offer: offer, about: about) })
        #expect(failed.code == "TZ-S04")
        #expect(!"\(failed)".contains("MARKED"))
    }

    @Test func whileAKeyStoreHangsTheDeviceGoesOnAndTheCallEndsByName() async throws {
        let (entered, enters) = AsyncStream.makeStream(of: Void.self)
        let answering = DispatchSemaphore(value: 0)
        defer { answering.signal() }
        let keys = OddKeys(
            makeKeys: {
                enters.yield()
                answering.wait()
            }, others: StageKeys(stage: stage, of: folder))
        let device = try await device(in: folder, stage: stage, keys: keys)
        let (offer, about) = (try stage.ask("offer")[0], about)
        let pairing = Task { try await device.pair(offer: offer, about: about) }
        for await _ in entered { break }
        #expect(try await device.queue().records.isEmpty)
        #expect(await failure { _ = try await pairing.value }?.code == "TZ-K05")
    }

    @Test func aRevokedDeviceSaysSoInWordsAndKeepsNeitherDraftNorKey() async throws {
        let device = try await paired()
        #expect(try await device.queue().revoked == nil)
        try await visit(device) { session, _ in try await session.until("hold-card-reading") }
        let deviceId = try await device.pairing().deviceId
        try stage.ask("revoke", deviceId)
        #expect(await failure { try await device.deliverNow(receiptsWithin: 10) }?.code == "TZ-H10")
        let queue = try await device.queue()
        #expect(queue.revoked?.state == .finished)
        #expect(queue.revoked?.failure.code == "TZ-H10")
        #expect(queue.revoked?.text.contains("登録し直せます") == true)
        #expect(queue.draftCount == 0)
        let keys = StageKeys(stage: stage, of: folder)
        #expect(throws: KeyError.Missing) { try keys.sign(bytes: Data()) }
        #expect(throws: KeyError.Missing) { try keys.wrapKey(key: Data(count: 32)) }
        let reader = try SocketCardPort()
        let begun = await failure { _ = try await device.beginVisit(staff: "dr-sample", patient: nil, language: .ja, card: reader) }
        #expect(begun?.code == "TZ-H10")
    }

    private var about: AboutDevice { AboutDevice(name: "見本の端末", model: "Swift", os: "Linux") }

    private func paired() async throws -> Device {
        let device = try await device(in: folder, stage: stage)
        let attempt = try await device.pair(offer: stage.ask("offer")[0], about: about)
        let (stage, code) = (stage, attempt.code())
        let approval = Task.detached { try stage.ask("approve", code) }
        let paired = try await attempt.finish()
        _ = try await approval.value
        #expect(try await device.pairing().deviceId == paired.deviceId)
        return device
    }

    /// A visit with a reader of its own; with a draft, the one that was begun.
    private func visit(_ device: Device, draft: String? = nil, work: (VisitSession, SocketCardPort) async throws -> Void) async throws {
        let reader = try SocketCardPort()
        let session =
            if let draft {
                try await device.resumeVisit(draft: draft, card: reader)
            } else {
                try await device.beginVisit(staff: "dr-sample", patient: nil, language: .ja, card: reader)
            }
        try await work(session, reader)
        _ = await session.cancel()
        try stage.ask("remove")
    }

    /// A visit in a process of its own that is killed when it shows a screen.
    private func killed(at word: String) throws {
        let child = Process()
        child.executableURL = Clinic.child
        child.arguments = [stage.address, folder, word]
        let output = Pipe()
        child.standardOutput = output
        try child.run()
        let reader = output.fileHandleForReading.line()
        try stage.ask("hold", "valid", String(reader.dropFirst("reader ".count)))
        #expect(output.fileHandleForReading.line() == "shown \(word)")
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
        try stage.ask("remove")
    }

    private func arrives(_ record: String, from device: Device) async throws {
        try await device.deliverNow(receiptsWithin: 10)
        #expect(try await device.queue().records.first { $0.id == record }?.delivery == .accepted)
        let counts = try stage.ask("arrived", record)
        #expect(counts[0] == counts[1], "each record has one face file")
    }

    private func failure(of work: () async throws -> Void) async -> Failure? {
        do {
            try await work()
        } catch TazuneError.Failed(let failure) {
            return failure
        } catch {}
        return nil
    }
}

private struct Marked: Error {
    let secret = "MARKED-SECRET"
}

/// Keys of which the making is another matter.
private final class OddKeys: KeyStore {
    private let making: @Sendable () throws -> Void
    private let others: StageKeys

    init(makeKeys: @escaping @Sendable () throws -> Void, others: StageKeys) {
        making = makeKeys
        self.others = others
    }

    func makeKeys() throws { try making() }
    func transportPublic() throws -> Data { try others.transportPublic() }
    func sign(bytes: Data) throws -> Data { try others.sign(bytes: bytes) }
    func wrapKey(key: Data) throws -> Data { try others.wrapKey(key: key) }
    func unwrapKey(wrapped: Data) throws -> Data { try others.unwrapKey(wrapped: wrapped) }
    func destroyStaffKey() throws { try others.destroyStaffKey() }
    func destroyTransportKey() throws { try others.destroyTransportKey() }
}

extension Screen {
    fileprivate var recordId: String {
        if case .sealed(let id) = body { id } else { "" }
    }
}

/// The stage, which ends with this process because its standard input does.
struct Clinic: Sendable {
    let stage: Stage
    /// Open for as long as this process lives.
    private let input: Int32

    static let shared = Result { try Clinic() }

    /// Built beside the tests.
    static let child = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "visit-child")

    private init() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "../target/debug/tazune-stage")
        let (output, held) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (held, output)
        input = dup(held.fileHandleForWriting.fileDescriptor)
        try process.run()
        // {"stage":"127.0.0.1:PORT"}
        let told = output.fileHandleForReading.line().split(separator: "\"")
        stage = Stage(address: String(told[3]))
    }
}

extension FileHandle {
    fileprivate func line() -> String {
        var line = Data()
        while let byte = try? read(upToCount: 1), byte != Data("\n".utf8), !byte.isEmpty { line += byte }
        return String(decoding: line, as: UTF8.self)
    }
}
