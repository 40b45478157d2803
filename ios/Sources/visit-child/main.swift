// An app that is killed: `visit-child STAGE FOLDER WORD` begins a visit, says where its reader is and when WORD is shown, and then does
// nothing more.
import Foundation
import HostSupport
import Tazune

func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

let (stage, folder, word) = (Stage(address: CommandLine.arguments[1]), CommandLine.arguments[2], CommandLine.arguments[3])
let reader = try SocketCardPort()
let session = try await device(in: folder, stage: stage).beginVisit(staff: "dr-sample", patient: nil, language: .ja, card: reader)
say("reader \(reader.address)")
let shown = try await session.until(word)
say("shown \(shown.word)")
try await Task.sleep(for: .seconds(3600))
