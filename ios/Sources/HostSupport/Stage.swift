/// A clinic with hub, gateway and cards, as `tazune-stage` plays it; asked over a connection of its own each time.
public struct Stage: Sendable {
    public let address: String

    public init(address: String) {
        self.address = address
    }

    /// Asks one thing and gives the words of the answer.
    @discardableResult
    public func ask(_ words: String...) throws -> [String] {
        let connection = try Connection(to: address)
        try connection.write(Array((words.joined(separator: " ") + "\n").utf8))
        let answer = try connection.readLine()
        guard answer.hasPrefix("ok") else { throw Broken(what: "asked \(words[0]): \(answer)") }
        return answer.dropFirst(2).split(separator: " ").map(String.init)
    }

    public func hold(_ person: String, to reader: SocketCardPort) throws {
        try ask("hold", person, reader.address)
    }

    public func card(_ person: String) throws -> Card {
        let told = try ask("card", person)
        return Card(triesLeft: Int(told[0]) ?? -1, isPowered: told[1] == "on", lastCommand: told[2], pinEntries: Int(told[3]) ?? -1)
    }

    /// What a virtual card tells of itself; commands are in hexadecimal.
    public struct Card: Sendable {
        public let triesLeft: Int
        public let isPowered: Bool
        public let lastCommand: String
        public let pinEntries: Int

        /// Its domain of certificates is not selected any more, and it has no power.
        public var isLeft: Bool { !isPowered && lastCommand == "00a4040c07a0000001510000" }
    }
}
