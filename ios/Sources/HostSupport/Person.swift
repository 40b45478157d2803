import Tazune

/// A device in this folder, with its keys at the stage unless others are given.
public func device(in folder: String, stage: Stage, keys: (any KeyStore)? = nil) async throws -> Device {
    try await Device.open(folder: folder, keys: keys ?? StageKeys(stage: stage, of: folder), language: .ja)
}

extension VisitSession {
    /// Types a PIN as a person does, digit by digit.
    public func type(_ pin: [UInt8]) async throws {
        let entry = PinEntry()
        for digit in pin { _ = entry.push(digit: digit) }
        try await enterPin(entry: entry)
    }

    /// Works the visit as a willing patient and a calm member of staff, until a screen is the one waited for.
    @discardableResult
    public func until(_ wanted: String, each: (Screen) -> Void = { _ in }) async throws -> Screen {
        var shown = screen()
        while true {
            each(shown)
            if shown.word == wanted { return shown }
            do {
                try await goOn(from: shown)
            } catch TazuneError.NotOffered {
                // Another screen came meanwhile.
            }
            guard let next = await nextScreen() else {
                let last = screen()
                guard last.word == wanted else { throw Broken(what: "ended at \(last.word)") }
                return last
            }
            shown = next
        }
    }

    private func goOn(from shown: Screen) async throws {
        switch shown.body {
        case .consent(_, let items): try await send(intent: items.contains(where: \.isSet) ? .continue : .agreeAll)
        case .enterPin: try await type([1, 2, 3, 4])
        case .confirmPerson: try await send(intent: .confirmPerson)
        case .answer: try await send(intent: .continue)
        case .closing(let hasCard): try await send(intent: hasCard ? .confirmCardReturned : .continue)
        case .trouble, .deferred: throw Broken(what: "the visit went wrong: \(shown.failure?.code ?? "-")")
        default: return
        }
    }
}
