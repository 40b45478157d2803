package tazune.host

import java.io.File
import tazune.Body
import tazune.Device
import tazune.Intent
import tazune.KeyStore
import tazune.Language
import tazune.PinEntry
import tazune.Screen
import tazune.TazuneException
import tazune.VisitSession

/** A device in this folder, with its keys beside it unless others are given. */
suspend fun device(folder: File, keys: KeyStore = keys(folder)): Device = Device.open(File(folder, "data").path, keys, Language.JA)

fun keys(folder: File) = FileKeys(File(folder, "keys"))

/** Types a PIN as a person does, digit by digit. */
suspend fun VisitSession.type(pin: String) {
    PinEntry().use { entry ->
        pin.forEach { check(entry.push(it.digitToInt().toUByte())) }
        enterPin(entry)
        check(entry.len() == 0.toUByte()) { "the entry is wiped" }
    }
}

/** Works the visit as a willing patient and a calm member of staff, until a screen is the one waited for. */
suspend fun VisitSession.until(wanted: String, each: (Screen) -> Unit = {}): Screen {
    var screen = screen()
    while (true) {
        each(screen)
        if (screen.word == wanted) return screen
        try {
            goOn(screen)
        } catch (_: TazuneException.NotOffered) {
            // Another screen came meanwhile.
        }
        screen = nextScreen() ?: return screen().also { check(it.word == wanted) { "ended at ${it.word}" } }
    }
}

private suspend fun VisitSession.goOn(screen: Screen) {
    val offers = screen.choices.map { it.intent }
    val intent = when (val body = screen.body) {
        is Body.Consent -> if (body.items.any { it.isSet }) Intent.Continue else Intent.AgreeAll
        is Body.EnterPin -> return type("1234")
        is Body.ConfirmPerson -> Intent.ConfirmPerson
        is Body.Answer -> Intent.Continue
        is Body.Closing -> if (body.hasCard) Intent.ConfirmCardReturned else Intent.Continue
        is Body.Trouble, is Body.Deferred -> error("the visit went wrong: ${screen.failure?.code}")
        else -> return
    }
    if (intent in offers) send(intent)
}
