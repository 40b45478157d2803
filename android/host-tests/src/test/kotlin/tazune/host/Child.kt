package tazune.host

import java.io.File
import kotlin.time.Duration.Companion.hours
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import tazune.Language

/** An app that is killed: `Child FOLDER WORD` begins a visit, says where its reader is and when WORD is shown, and then does nothing more. */
object Child {
    @JvmStatic
    fun main(arguments: Array<String>) = runBlocking {
        val (folder, word) = arguments
        val reader = SocketCardPort()
        val session = device(File(folder)).beginVisit("dr-sample", null, Language.JA, reader)
        println("reader ${reader.address}")
        val screen = session.until(word)
        println("shown ${screen.word}")
        delay(1.hours)
    }

    /** Starts it in a virtual machine of its own. */
    fun start(folder: File, word: String): Process {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val options = listOf("jna.library.path", "tazune.programs").map { "-D$it=${System.getProperty(it)}" }
        val command = listOf(java, "-cp", System.getProperty("java.class.path")) + options + listOf(Child::class.java.name, folder.path, word)
        return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }
}
