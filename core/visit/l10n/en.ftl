# The words of the screens (English). One idea per sentence; plain words.
# Every language has the same keys. Whoever changes the words of the consent changes TEXT_VERSION too.

## Dates
date = { $day } { $month-name } { $year } ({ $weekday })
birth-date = { $day } { $month-name } { $year }

## Titles
title-consent = Checking your insurance, and what we may look at
title-hold-card-reading = Please hold the My Number card to the reader
title-hold-card-signing = Please hold the card once more
title-connecting = Preparing the check
title-enter-pin = Please enter the 4-digit PIN
title-other-card = This is another card
title-sending = Checking
title-confirm-person = Is this the patient?
title-answer = Result of the insurance check
title-deferred = The check cannot be made now
title-trouble = The check could not be made
title-person-mismatch = The result was another person's
title-closing = Before you leave
title-sealing = Saving
title-seal-failed = Not saved yet
title-sealed = Saved
title-cancelled = The visit was cancelled

## Consent
consent-patient = { $name }
consent-intro = We ask the national system whether your insurance is valid. Please choose, one by one, what doctors, dentists, pharmacists and nurses may also look at.
consent-free = You may say no to all of it: the insurance is still checked and you are still treated. You can take your agreement back later.
consent-actor = Who is agreeing?
consent-cannot-express = If the patient's wishes cannot be known, only the insurance is checked. Nothing else is looked at.
consent-drug = Medicines (names and amounts of medicines you were given)
consent-treatment = Treatment (treatments and tests you have had)
consent-surgery = Surgery (operations you have had)
consent-check_up = Health check-up (results of check-ups from the age of 40)
consent-cost_limit = Payment limit (the most you have to pay)
consent-specific_disease = Certificate for a long illness (for example dialysis)
actor-patient = The patient
actor-legal_representative = A legal representative (parent of a child under 15, guardian)
actor-carer_helping = The patient (a helper works the screen)
actor-cannot_express = The patient's wishes cannot be known

## Holding the card
hold-reading = The PIN is not needed yet. First we see whether the card can be used.
hold-signing = If the card is still there, please leave it as it is.
hold-awaited = Lay the card flat on the reader and do not move it for about five seconds.
hold-working = Reading. Please do not move the card.
hold-progress = Reading ({ $percent }%). Please do not move the card.
hold-lost = Please hold the same card again. We go on from where it was.
connecting-wait = Connecting to the national system. Please wait a moment.

## PIN
pin-tries = After { $tries } more wrong entries the PIN is locked.
pin-last-entry = This is the last entry here. If you are not sure, please do not enter it.
pin-which = It is the 4-digit number chosen at the municipal office, not the longer password with letters.
pin-kept = The PIN is not kept on this device.
pin-again-interrupted = The card was interrupted. See how many tries are left, and enter the PIN once more.
pin-again-renewed = Too much time has passed, so the check starts anew. Please enter the PIN once more. No try was lost.
pin-again-restarted = The app was closed in between. The PIN was not kept, so please enter it once more.

## Phase of the certificate
certificate-expiring = The card's electronic certificate ends on { $date }. Please renew it soon at the municipal office where you live.
certificate-grace = The card's electronic certificate ended on { $date }. For now only the insurance can be checked. Please renew it at the municipal office where you live.
certificate-expired = The card's electronic certificate ended on { $date }, and its extra months are over. Please renew it at the municipal office. For the insurance check use the certificate letter (資格確認書) you received.
certificate-begins = It can be used from { $date }.

## Sending
sending-now = Waiting for the national system. The card is no longer needed.
sending-retry = The same request is sent again at { $time }. The PIN need not be entered again.

## Another card
other-card-first = Hold the first card again, or start over with this one.
other-card-anew = Decide which card to use, and read it from the start.
other-card-wiped = The PIN that was entered is wiped. Nothing of the two cards was mixed.

## Result
confirm-person-ask = Compare name, birth date and sex with the patient before you.
answer-name = Name: { $name }
answer-birth-date = Birth date: { $date }
answer-sex-male = Sex: male
answer-sex-female = Sex: female
answer-sex-not_set = Sex: not registered
answer-other-name = The visit was planned for “{ $name }”. Birth date and sex agree. Please see whether the name is only written otherwise.
answer-validity-valid = The insurance is valid.
answer-validity-invalid = This insurance is not valid.
answer-validity-invalid_newer_exists = This insurance is not valid. There is a newer one.
answer-validity-none = No insurance was found.
answer-validity-several = More than one insurance was found, and none could be chosen.
answer-validity-valid_unregistered = Medical assistance is valid. No voucher for this institution is registered yet.
answer-validity-missing = The answer does not say whether the insurance is valid.
answer-error = The national system could not check this person.
answer-message = The national system says: { $message }
answer-insurer = Insurer: { $name } ({ $number })
answer-insurer-number = Insurer number: { $number }
answer-number = Symbol and number: { $symbol } { $number }, branch { $branch }
answer-valid-until = Valid until: { $date }
answer-disqualified = Ended on: { $date }
answer-copayment = Share to pay: { $percent }%
answer-cost-limit = Payment limit class: { $class }
answer-confirmed = Checked on: { $date }
answer-unusable = This result does not confirm the insurance. It is kept for the clinic, which will look into it.

## No answer
deferred-no_signal = The national system cannot be reached, so the PIN was not asked. Consent and the card's expiry are kept, and the check is made later.
deferred-challenge_ended = Time ran out before an answer came. Whether the request arrived is not known. The check is made later.
deferred-staff_choice = The staff decided to check later.
mismatch-hidden = Nothing about that person is shown or kept.
mismatch-choose = Read the patient's own card, or end without an answer.

## The end
closing-card = Please give the card back to the patient, and say so below.
closing-no-card = No card was taken.
ending-answer = The result will be saved.
ending-deferred = The visit will be saved as “to be checked later”.
ending-trouble = The visit will be saved as “could not be checked”, with the reason.
ending-person-mismatch = Only the fact that the result was another person's will be saved.
sealing-wait = Please wait and do not switch off.
seal-failed-kept = Everything you entered is still on this device.
sealed-next = It is sent to the clinic by itself. This device can no longer read it.
sealed-id = Record: { $id }
cancelled-nothing = The contents were erased. Nothing was sent to the clinic.

## Choices
choice-agree-all = Agree to all
choice-decline-all = Agree to none
choice-continue = Next
choice-enter-pin = Enter the PIN
choice-try-again = Try again
choice-first-card-again = Hold the first card
choice-read-right-card = Read the patient's card
choice-send-now = Send now
choice-start-over = Start over with this card
choice-confirm-person = Yes, this is the patient
choice-reject-person = No, this is somebody else
choice-confirm-card-returned = The card was given back
choice-save = Save
choice-save-again = Save again
choice-end-without-answer = End without an answer
choice-ask-later = Check later
choice-cancel = Cancel the visit and erase it
language-ja = 日本語
language-en = English

## Failures (-title says what happened, -do what to do next)
failure-TZ-C01-title = No card was found
failure-TZ-C01-do = Take the card out of its case and hold it again. Keep it away from metal and charging cables, one card only.
failure-TZ-C02-title = The card was moved too early
failure-TZ-C02-do = Hold the same card again and keep it still. What was read is kept.
failure-TZ-C03-title = This is not the card from before
failure-TZ-C03-do = See that two cards are not held together. Then choose which card to use.
failure-TZ-C04-title = This is not a My Number card
failure-TZ-C04-do = Hold the My Number card, the one with the photo. The old resident card or a health insurance card cannot be used.
failure-TZ-C05-title = A phone was held to the reader
failure-TZ-C05-do = Please use the plastic My Number card here, and keep the phone away.
failure-TZ-C06-title = The card has no electronic certificate for identification
failure-TZ-C06-do = The municipal office where the patient lives can put one on the card. Today use the number on the certificate letter (資格確認書), or the visual check in the official マイナ資格確認アプリ.
failure-TZ-C07-title = The electronic certificate cannot be used yet
failure-TZ-C07-do = Wait for its first day. Today use the number on the certificate letter (資格確認書), or the visual check in the official マイナ資格確認アプリ.
failure-TZ-C08-title = The electronic certificate comes from an unknown issuer
failure-TZ-C08-do = See whether it is a My Number card. If it is, update the app and tell the clinic's administrator. Today use the number on the certificate letter (資格確認書).
failure-TZ-C09-title = The electronic certificate cannot be read
failure-TZ-C09-do = Hold the card once more. If it happens again the card may be broken: the municipal office where the patient lives can look at it. Today use the number on the certificate letter (資格確認書).
failure-TZ-C10-title = The PIN is wrong
failure-TZ-C10-do = Please check the 4-digit PIN. If it is not known, do not guess: choose “End without an answer” and use the visual check in the official マイナ資格確認アプリ.
failure-TZ-C11-title = One more wrong entry would lock the PIN
failure-TZ-C11-do = So that it is not locked, it is not asked here. Use the visual check in the official マイナ資格確認アプリ, or the number on the certificate letter (資格確認書).
failure-TZ-C12-title = The PIN is locked
failure-TZ-C12-do = Today use the visual check in the official マイナ資格確認アプリ, or the number on the certificate letter (資格確認書). If the card says 「顔認証」 it never had a PIN, and the visual check is right. Otherwise the municipal office where the patient lives sets a new PIN. The app with a convenience-store kiosk can do so only if the signature password (6 to 16 characters) still works.
failure-TZ-C13-title = The card gave an unexpected answer
failure-TZ-C13-do = Take the card away and hold it again. If it happens again, tell the clinic's administrator this code.
failure-TZ-C14-title = The card reader cannot be used
failure-TZ-C14-do = See that the reader is plugged in, or that NFC is switched on, and try again.
failure-TZ-C15-title = No card reader is plugged in
failure-TZ-C15-do = Plug the reader in, wait a few seconds and try again. On a hub or a long cable it may lack power: use a port of the computer.
failure-TZ-C16-title = Several card readers are plugged in
failure-TZ-C16-do = Unplug the others, or choose one by a part of its name: --card pcsc:NAME-PART.
failure-TZ-C17-title = Another program is using the card reader
failure-TZ-C17-do = Close other programs that use the card, such as a signing program or a browser page, and try again.
failure-TZ-C18-title = This tazune was built without card readers
failure-TZ-C18-do = Use the tazune that comes with readers. Who builds it needs the package libpcsclite-dev (on Linux) and --features pcsc.
failure-TZ-C19-title = The system's card reader service is not running
failure-TZ-C19-do = Linux: install and start pcscd (systemctl start pcscd.socket). Windows: start the service “Smart Card”. Then try again.
failure-TZ-G01-title = The national system cannot be reached
failure-TZ-G01-do = Move to where the signal is better, or use mobile data instead of Wi-Fi. If it does not work, the check can be made later.
failure-TZ-G02-title = The national system did not answer in time
failure-TZ-G02-do = Wait a little and try again. What was sent is kept, so nothing happens twice.
failure-TZ-G03-title = The national system refused the check
failure-TZ-G03-do = Try again. If it happens again, the clinic's administrator should look at how this device is registered.
failure-TZ-G04-title = The national system's answer cannot be read
failure-TZ-G04-do = See whether the Wi-Fi asks for a log-in. Try again, or check later.
failure-TZ-G05-title = The clock of this device is wrong
failure-TZ-G05-do = Set date and time to automatic and try again.
failure-TZ-V01-title = The result is not the patient's
failure-TZ-V01-do = See whose card it is, and read the patient's own card.
failure-TZ-V02-title = The record is too large to send
failure-TZ-V02-do = It is kept on this device. Tell the clinic's administrator this code.
failure-TZ-H01-title = The clinic cannot be reached
failure-TZ-H01-do = The record is safe on this device and is sent by itself later. If it is urgent, choose “Send now”.
failure-TZ-H02-title = The clinic does not know this device
failure-TZ-H02-do = The record is kept. The clinic's administrator should look at how this device is registered.
failure-TZ-H03-title = Another record with the same number has already arrived
failure-TZ-H03-do = This record was set aside to be looked at. Tell the clinic's administrator this code.
failure-TZ-H04-title = The record was changed on its way, or is not from this device
failure-TZ-H04-do = This record was set aside to be looked at. Tell the clinic's administrator this code.
failure-TZ-H05-title = Too much was sent at once
failure-TZ-H05-do = The record is kept. Tell the clinic's administrator this code.
failure-TZ-H06-title = It is addressed to another clinic or device
failure-TZ-H06-do = The record is kept. The clinic's administrator should look at how this device is registered.
failure-TZ-H07-title = The clinic's receipt is not genuine
failure-TZ-H07-do = The record is kept and sent again. If it happens again, tell the clinic's administrator.
failure-TZ-H08-title = The clinic's answer cannot be read
failure-TZ-H08-do = The record is kept. Ask the clinic whether this device and its hub have the same version, and try again later.
failure-TZ-H09-title = The clinic has suspended this device
failure-TZ-H09-do = Every record is kept. They are sent by themselves once the suspension ends. If it is unexpected, call the clinic's administrator.
failure-TZ-H10-title = The clinic has revoked this device
failure-TZ-H10-do = No visit can be started here. Sealed records are handed to the clinic. To use this device again, pair it anew at the clinic.
failure-TZ-H11-title = The proof that this device is revoked does not verify
failure-TZ-H11-do = Nothing was destroyed. Keep this device as it is and call the clinic's administrator.
failure-TZ-H12-title = This device's certificate has run out and was not renewed
failure-TZ-H12-do = Call the clinic's administrator. Every record is still here; when they have arrived, pair this device again.
failure-TZ-P01-title = The QR code for pairing is not right
failure-TZ-P01-do = Scan the QR code on the clinic's screen again.
failure-TZ-P02-title = The time for pairing is over
failure-TZ-P02-do = Show a new QR code on the clinic's screen and scan it.
failure-TZ-P03-title = Another device has already used this QR code
failure-TZ-P03-do = If you do not know that device, turn it down. Start again with a new QR code.
failure-TZ-P04-title = The six digits do not match
failure-TZ-P04-do = This pairing has ended. Show a new QR code on the clinic's screen and start again. Then enter the digits exactly as this device shows them.
failure-TZ-P05-title = The clinic turned this device down
failure-TZ-P05-do = Ask the clinic's administrator, and start again with a new QR code.
failure-TZ-P06-title = This device is not paired with a clinic yet
failure-TZ-P06-do = Have the clinic show a QR code, and pair this device.
failure-TZ-P07-title = This device still holds visits that have not reached the clinic
failure-TZ-P07-do = Finish or cancel the visits you began. Choose “Send now”, wait until every record is accepted, and pair again.
failure-TZ-S01-title = This device is full
failure-TZ-S01-do = Make room and try again. What was saved before is still there.
failure-TZ-S02-title = The data was made by a newer app
failure-TZ-S02-do = Please update the app. The data was not touched.
failure-TZ-S03-title = The data is damaged and cannot be read
failure-TZ-S03-do = A copy was put aside and the original left as it is. Do not delete it; tell the clinic's administrator.
failure-TZ-S04-title = The data cannot be read or written just now
failure-TZ-S04-do = Wait a little and try again. If it happens again, restart the device.
failure-TZ-S05-title = The disk is nearly full
failure-TZ-S05-do = Free some space. Do not delete anything in Tazune's own folder.
failure-TZ-K01-title = The key store is locked
failure-TZ-K01-do = Unlock the device, or sign in again.
failure-TZ-K02-title = Keys in plain files are not allowed
failure-TZ-K02-do = Only for trying out, start with --insecure-file-keys. Never use it with patients' data.
failure-TZ-K03-title = This device's key is missing or damaged
failure-TZ-K03-do = Tell the clinic's administrator and pair this device anew. Sealed records are kept.
failure-TZ-D01-title = A record arrived that cannot be opened
failure-TZ-D01-do = It was set aside. Look at how the sending device is registered, and at the clinic's key.
failure-TZ-D02-title = The folder for results cannot be written
failure-TZ-D02-do = Look at the folder's path, its permissions and free space. Waiting records are written by themselves afterwards.
failure-TZ-D03-title = The clinic's hub is not running
failure-TZ-D03-do = Start tazune-hub serve and try again.
failure-TZ-D04-title = The national system did not register this device
failure-TZ-D04-do = Check the institution code and the enrolment secret, and pair again.
failure-TZ-D05-title = A setting is missing or wrong
failure-TZ-D05-do = Correct the setting that is named, and start again.
failure-TZ-D06-title = The audit is not whole
failure-TZ-D06-do = Leave the database as it is, make a copy, and tell your supplier and the person responsible.
failure-TZ-D07-title = The hub cannot be run as a service
failure-TZ-D07-do = Try again with an administrator's rights.
failure-TZ-D08-title = There is no such device or record, or this cannot be decided
failure-TZ-D08-do = See the list for names and states.
failure-TZ-B01-title = The parts of this app do not belong together
failure-TZ-B01-do = Install the app again over this one, from where you got it; do not delete it first, so that saved records stay. If it happens again, tell the clinic's administrator.

## States of sending (the same words on every device)
state-draft = draft
state-sealed = saved (not sent)
state-sending = sending
state-received = sent
state-accepted = accepted by the clinic
state-purged = erased
state-quarantined = needs attention
queue-count = { $state }: { $count }
queue-record = { $state } (since { $at })
queue-last-success = Last sent: { $at }
queue-never = Nothing was ever sent.
queue-last-failure = Last failure:
insecure-keys = Caution: the keys lie in plain files (--insecure-file-keys). Never use this with patients' data.

## The laptop tool tazune
tool-choose = Type a number and press Enter
tool-not-offered = That number cannot be chosen now.
tool-pin-entry = PIN (not shown; Esc goes back)
tool-pin-malformed = The PIN has four digits. Nothing was sent to the card.
tool-slot = Where a virtual card connects: { $address }
tool-card-malformed = Write --card as pcsc, pcsc:part-of-the-name or virtual:127.0.0.1:port.
tool-reader = Reader: { $name }
tool-reader-chosen = Reader: { $name } (this one is used)
tool-card-none = There is no card on the reader.
tool-card-other = This is not a My Number card.
tool-card-phone = A phone was held to the reader. Please use the plastic card.
tool-card-my-number = This is a My Number card.
tool-card-certificate = Electronic certificate: { $phase }, last day { $last }
tool-card-certificate-missing = Electronic certificate: none
tool-card-certificate-broken = Electronic certificate: cannot be read
tool-card-tries = PIN: { $left } tries left
tool-card-locked = PIN: locked
tool-phase-not-yet-valid = not valid yet
tool-phase-valid = valid
tool-phase-expiring = valid, in its last three months
tool-phase-grace = expired, still good for eligibility
tool-phase-expired = expired
tool-issuer-trusted = Issuer: known
tool-issuer-foreign = Issuer: unknown
tool-issuer-unchecked = Issuer: not checked, because this device knows no clinic
tool-no-data = No place for the data is known. Choose a folder with --data.
tool-staff-malformed = --staff takes letters, digits and - _ . up to 64 characters.
tool-patient-malformed = For a planned patient give --patient-name, --birth-date (as 2026-11-21) and --sex (male, female, not-set) together.
tool-drafts = Unfinished visits: { $count }. To go on, use tazune visit --resume.
tool-draft = Draft { $id } (saved { $at })
tool-no-draft = There is no visit to go on with. tazune queue shows the drafts.
tool-visit-kept = The visit is not finished. What you entered is kept as a draft. To go on, use tazune visit --resume.
tool-record = Record { $id }: { $state }
tool-send-later = When there is a connection, use tazune queue --send again.
tool-paste-offer = Paste the text of the QR code on the clinic's screen (it begins with TZ1:) and press Enter.
tool-pair-code = Enter these six digits at the clinic.
tool-pair-wait = Waiting for the clinic to approve. Press Ctrl-C to stop.
tool-paired = Paired. Clinic: { $institution } This device: { $device }
tool-cancelled = Stopped.
