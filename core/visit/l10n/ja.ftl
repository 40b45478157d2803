# 画面の文言（日本語）。一文に一つのこと。です・ます。むずかしい言葉は言いかえる。
# 鍵はすべての言語に同じものがある。同意の文言を変えたら TEXT_VERSION も変える。

## 日付
date = { $year }年{ $month }月{ $day }日({ $weekday ->
    [Mon] 月
    [Tue] 火
    [Wed] 水
    [Thu] 木
    [Fri] 金
    [Sat] 土
   *[Sun] 日
})
birth-date = { $year }年{ $month }月{ $day }日

## 画面の題
title-consent = 保険証の確認と、情報を見ることへの同意
title-hold-card-reading = マイナンバーカードをかざしてください
title-hold-card-signing = もう一度、カードをかざしてください
title-connecting = 確認の準備をしています
title-enter-pin = 暗証番号（4けた）を入れてください
title-other-card = 別のカードです
title-sending = 確認しています
title-confirm-person = ご本人ですか
title-answer = 保険の確認の結果
title-deferred = 今は確認できません
title-trouble = 確認できませんでした
title-person-mismatch = 別の人の結果でした
title-closing = 訪問のおわりに
title-sealing = 保存しています
title-seal-failed = まだ保存できていません
title-sealed = 保存しました
title-cancelled = 訪問をやめました

## 同意
consent-patient = { $name } さん
consent-intro = 保険が使えるかを、国のシステムで確認します。医師・歯科医師・薬剤師・看護師などが、くわしい情報も見てよいか、一つずつえらんでください。
consent-free = 同意しなくても、保険の確認と診療は受けられます。同意は、あとでやめることもできます。
consent-actor = 同意する人をえらんでください。
consent-cannot-express = ご本人の気持ちを確かめられないときは、保険の確認だけをします。くわしい情報は見ません。
consent-drug = 薬の情報（これまでに出された薬の名前や量）
consent-treatment = 診療の情報（これまでに受けた診療や検査）
consent-surgery = 手術の情報（これまでに受けた手術）
consent-check_up = 健診の情報（40歳からの健康診断の結果）
consent-cost_limit = 支払いの上限の情報（窓口で払う金額の上限）
consent-specific_disease = 特定の病気の証明の情報（人工透析など、長く続く治療の受療証）
actor-patient = 患者さん本人
actor-legal_representative = 法定代理人（15歳未満の人の親、成年後見人など）
actor-carer_helping = 患者さん本人（介助の人が画面を操作します）
actor-cannot_express = ご本人の気持ちを確かめられない

## カードをかざす
hold-reading = 暗証番号は、まだ使いません。先にカードが使えるかを調べます。
hold-signing = カードがまだ置いてあれば、そのまま動かさないでください。
hold-awaited = カードを、読み取るところにぴったり付けて、5秒ほど動かさないでください。
hold-working = 読み取っています。カードを動かさないでください。
hold-progress = 読み取っています（{ $percent }%）。カードを動かさないでください。
hold-lost = 同じカードを、もう一度付けてください。読み取ったところから続けます。
connecting-wait = 国のシステムにつないでいます。少しお待ちください。

## 暗証番号
pin-tries = あと{ $tries }回まちがえると、暗証番号がロックされます。
pin-last-entry = ここで入れられるのは、これが最後です。自信がないときは、入れないでください。
pin-which = 市区町村の窓口で決めた、利用者証明用の4けたの数字です。英字のまじった長い暗証番号ではありません。
pin-kept = 暗証番号は、この機械に残りません。
pin-again-interrupted = カードとのやり取りが、途中で終わりました。残りの回数を見て、もう一度、暗証番号を入れてください。
pin-again-renewed = 時間がたったので、確認をやり直します。もう一度、暗証番号を入れてください。回数は減っていません。
pin-again-restarted = アプリが一度終わりました。暗証番号は残していないので、もう一度入れてください。

## 証明書の時期
certificate-expiring = カードの電子証明書は { $date } までです。お住まいの市区町村の窓口で、早めに更新してください。
certificate-grace = カードの電子証明書は { $date } に切れました。今は保険の確認だけができます。お住まいの市区町村の窓口で、更新してください。
certificate-expired = カードの電子証明書は { $date } に切れ、使える期間もすぎました。市区町村の窓口で更新してください。保険の確認には、届いている資格確認書を使ってください。
certificate-begins = 使えるようになる日は { $date } です。

## 送信
sending-now = 国のシステムの答えを待っています。カードは、もうかざさなくてよいです。
sending-retry = { $time } に、同じ内容をもう一度送ります。暗証番号を入れ直す必要はありません。

## 別のカード
other-card-first = はじめのカードをかざすか、このカードで最初からやり直すか、えらんでください。
other-card-anew = どちらのカードを使うか決めて、最初から読み取ってください。
other-card-wiped = 入れた暗証番号は消しました。二枚のカードの内容は混ざっていません。

## 結果
confirm-person-ask = 目の前の患者さんと同じ人か、名前・生年月日・性別を見くらべてください。
answer-name = 名前: { $name }
answer-birth-date = 生年月日: { $date }
answer-sex-male = 性別: 男
answer-sex-female = 性別: 女
answer-sex-not_set = 性別: 登録なし
answer-other-name = 予定では「{ $name }」さんです。生年月日と性別は同じです。書き方のちがいか、見て確かめてください。
answer-validity-valid = 保険は使えます（有効）。
answer-validity-invalid = この保険は使えません（無効）。
answer-validity-invalid_newer_exists = この保険は使えません（無効）。新しい保険があります。
answer-validity-none = 保険の登録が見つかりません（該当資格なし）。
answer-validity-several = 保険が二つ以上見つかり、一つに決まりません（複数該当）。
answer-validity-valid_unregistered = 医療扶助は使えます（有効）。この医療機関への医療券・調剤券は、まだ登録されていません。
answer-validity-missing = 保険が使えるか、答えにありませんでした。
answer-error = 国のシステムは、この人を確認できませんでした。
answer-message = 国のシステムからの言葉: { $message }
answer-insurer = 保険者: { $name }（{ $number }）
answer-insurer-number = 保険者番号: { $number }
answer-number = 記号・番号: { $symbol }・{ $number } 枝番 { $branch }
answer-valid-until = 有効期限: { $date }
answer-disqualified = 資格がなくなった日: { $date }
answer-copayment = 負担割合: { $percent }%
answer-cost-limit = 限度額の区分: { $class }
answer-confirmed = 確認した日: { $date }
answer-unusable = この結果のままでは、保険の確認ができたことになりません。結果は医療機関に残り、あとで調べます。

## 答えがないとき
deferred-no_signal = 国のシステムにつながらないので、暗証番号は聞いていません。同意とカードの期限だけを残し、あとで確認します。
deferred-challenge_ended = 答えが来る前に、時間が切れました。国のシステムに届いたかは、わかりません。あとで確認します。
deferred-staff_choice = 職員が、あとで確認することにしました。
mismatch-hidden = この人の情報は、表示も保存もしません。
mismatch-choose = 患者さんのカードで読み直すか、答えなしで終わるか、えらんでください。

## おわり
closing-card = カードを患者さんに返してください。返したら、下のボタンを押してください。
closing-no-card = カードは預かっていません。
ending-answer = 確認の結果を保存します。
ending-deferred = 「あとで確認」として保存します。
ending-trouble = 「確認できなかった」と、その理由を保存します。
ending-person-mismatch = 「別の人の結果だった」ことだけを保存します。
sealing-wait = 電源を切らずに、お待ちください。
seal-failed-kept = 入力した内容は、まだこの機械に残っています。
sealed-next = 医療機関に自動で送ります。この機械では、もう中を見られません。
sealed-id = 記録の番号: { $id }
cancelled-nothing = 内容は消しました。医療機関には何も送っていません。

## えらぶもの
choice-agree-all = すべて同意する
choice-decline-all = どれも同意しない
choice-continue = つぎへ
choice-enter-pin = 暗証番号を入れる
choice-try-again = もう一度やってみる
choice-first-card-again = はじめのカードをかざす
choice-read-right-card = 患者さんのカードを読み直す
choice-send-now = 今すぐ送る
choice-start-over = このカードで最初からやる
choice-confirm-person = 同じ人です
choice-reject-person = 別の人です
choice-confirm-card-returned = カードを返しました
choice-save = 保存する
choice-save-again = もう一度保存する
choice-end-without-answer = 答えなしで終わる
choice-ask-later = あとで確認する
choice-cancel = 訪問をやめて、内容を消す
language-ja = 日本語
language-en = English

## 失敗（-title は何が起きたか、-do は次にすること）
failure-TZ-C01-title = カードが見つかりませんでした
failure-TZ-C01-do = カードケースから出して、もう一度かざしてください。金属の机や充電ケーブルから離し、カードは一枚だけにしてください。
failure-TZ-C02-title = カードが途中で離れました
failure-TZ-C02-do = 同じカードを、もう一度付けて、動かさないでください。読み取ったところは残っています。
failure-TZ-C03-title = はじめとは別のカードです
failure-TZ-C03-do = 二枚のカードを重ねていないか見てください。どちらのカードを使うかをえらんでください。
failure-TZ-C04-title = マイナンバーカードではありません
failure-TZ-C04-do = 顔写真の付いたマイナンバーカードをかざしてください。古い住民基本台帳カードや健康保険証は使えません。
failure-TZ-C05-title = スマートフォンがかざされました
failure-TZ-C05-do = ここでは、プラスチックのマイナンバーカードをかざしてください。スマートフォンは離してください。
failure-TZ-C06-title = カードに、本人確認のための電子証明書が入っていません
failure-TZ-C06-do = お住まいの市区町村の窓口で、利用者証明用電子証明書を入れてもらえます。今日は、資格確認書の番号か、マイナ資格確認アプリの目視確認で確認してください。
failure-TZ-C07-title = 電子証明書は、まだ使えません
failure-TZ-C07-do = 使えるようになる日まで待ってください。今日は、資格確認書の番号か、マイナ資格確認アプリの目視確認で確認してください。
failure-TZ-C08-title = 知らない発行元の電子証明書です
failure-TZ-C08-do = マイナンバーカードかどうか、見て確かめてください。正しいカードなら、アプリを新しくして、医療機関の管理者に知らせてください。今日は、資格確認書の番号で確認してください。
failure-TZ-C09-title = 電子証明書を読み取れません
failure-TZ-C09-do = もう一度かざしてください。何度もおきるときは、カードがこわれているかもしれません。お住まいの市区町村の窓口で見てもらってください。今日は、資格確認書の番号で確認してください。
failure-TZ-C10-title = 暗証番号がちがいます
failure-TZ-C10-do = 4けたの暗証番号を、もう一度確かめてください。わからないときは、入れずに「答えなしで終わる」をえらび、マイナ資格確認アプリの目視確認を使ってください。
failure-TZ-C11-title = あと一回まちがえると、暗証番号がロックされます
failure-TZ-C11-do = ロックしないように、ここでは聞きません。マイナ資格確認アプリの目視確認か、資格確認書の番号で確認してください。
failure-TZ-C12-title = 暗証番号がロックされています
failure-TZ-C12-do = 今日は、マイナ資格確認アプリの目視確認か、資格確認書の番号で確認してください。カードに「顔認証」と書いてあれば、はじめから暗証番号のないカードなので、目視確認でよいです。そうでなければ、お住まいの市区町村の窓口で、暗証番号を決め直してください。コンビニの端末とアプリで直せるのは、署名用の暗証番号（6〜16文字）が使えるときだけです。
failure-TZ-C13-title = カードから思わぬ返事がありました
failure-TZ-C13-do = カードを離して、もう一度かざしてください。何度もおきるときは、この番号を医療機関の管理者に知らせてください。
failure-TZ-C14-title = カードの読み取り機が使えません
failure-TZ-C14-do = 読み取り機のつなぎ方と電源、スマートフォンならNFCの設定を見てから、もう一度やってみてください。
failure-TZ-C15-title = カードの読み取り機がつながっていません
failure-TZ-C15-do = 読み取り機をさしこみ、数秒待ってから、もう一度やってみてください。ハブや長いケーブルでは電気が足りないことがあります。パソコンに直接さしてください。
failure-TZ-C16-title = カードの読み取り機がいくつもつながっています
failure-TZ-C16-do = 使わない読み取り機を外すか、名前の一部でえらんでください（--card pcsc:名前の一部）。
failure-TZ-C17-title = ほかのソフトがカードの読み取り機を使っています
failure-TZ-C17-do = カードを使うほかのソフト（署名ソフトやブラウザーのページなど）を閉じてから、もう一度やってみてください。
failure-TZ-C18-title = この tazune は読み取り機を使えない作りです
failure-TZ-C18-do = 読み取り機に対応した tazune を使ってください。自分で作る人は、libpcsclite-dev（Linux）を入れ、--features pcsc を付けて作ります。
failure-TZ-C19-title = パソコンの読み取り機サービスが動いていません
failure-TZ-C19-do = Linux では pcscd を入れて始めてください（systemctl start pcscd.socket）。Windows では「Smart Card」サービスを始めてください。そのあと、もう一度やってみてください。
failure-TZ-G01-title = 国のシステムにつながりません
failure-TZ-G01-do = 電波のよいところへ動くか、医療機関のWi-Fiではなく携帯の電波を使ってみてください。つながらなくても、あとで確認できます。
failure-TZ-G02-title = 国のシステムの返事が間に合いませんでした
failure-TZ-G02-do = 少し待って、もう一度やってみてください。送った内容は残っているので、二重にはなりません。
failure-TZ-G03-title = 国のシステムが、この確認を断りました
failure-TZ-G03-do = もう一度やってみてください。何度もおきるときは、この機械の登録を、医療機関の管理者に見てもらってください。
failure-TZ-G04-title = 国のシステムの返事が読めません
failure-TZ-G04-do = ログインの必要なWi-Fiにつながっていないか見てください。もう一度やってみて、だめなら、あとで確認してください。
failure-TZ-G05-title = この機械の時計が合っていません
failure-TZ-G05-do = 日付と時刻を「自動」にしてから、もう一度やってみてください。
failure-TZ-V01-title = 患者さんとは別の人の結果です
failure-TZ-V01-do = カードの持ち主を確かめて、患者さんのカードで読み直してください。
failure-TZ-V02-title = 記録が大きすぎて送れません
failure-TZ-V02-do = 内容は、この機械に残っています。この番号を医療機関の管理者に知らせてください。
failure-TZ-H01-title = 医療機関につながりません
failure-TZ-H01-do = 記録はこの機械に安全に残り、つながったときに自動で送ります。急ぐときは「今すぐ送る」をえらんでください。
failure-TZ-H02-title = 医療機関が、この機械を知りません
failure-TZ-H02-do = 記録は残っています。医療機関の管理者に、この機械の登録を見てもらってください。
failure-TZ-H03-title = 同じ番号の、別の記録がすでに届いています
failure-TZ-H03-do = この記録は、確認が必要なものとして分けてあります。この番号を医療機関の管理者に知らせてください。
failure-TZ-H04-title = 記録が途中で変わったか、この機械のものではありません
failure-TZ-H04-do = この記録は、確認が必要なものとして分けてあります。この番号を医療機関の管理者に知らせてください。
failure-TZ-H05-title = 一度に送る量が多すぎます
failure-TZ-H05-do = 記録は残っています。この番号を医療機関の管理者に知らせてください。
failure-TZ-H06-title = あて先が別の医療機関か、別の機械です
failure-TZ-H06-do = 記録は残っています。医療機関の管理者に、この機械の登録を見てもらってください。
failure-TZ-H07-title = 受け取りの証明が正しくありません
failure-TZ-H07-do = 記録は消さずに残し、もう一度送ります。何度もおきるときは、医療機関の管理者に知らせてください。
failure-TZ-H08-title = 医療機関からの返事が読めません
failure-TZ-H08-do = 記録は残っています。この機械と医療機関のハブの版が同じかを医療機関に聞き、あとでもう一度やってみてください。
failure-TZ-H09-title = この機械は医療機関によって一時停止されています
failure-TZ-H09-do = 記録は残っています。停止が解かれると自動で送られます。心当たりがなければ、医療機関の管理者に連絡してください。
failure-TZ-H10-title = この機械の登録は取り消されました
failure-TZ-H10-do = この機械では訪問を始められません。封をした記録は医療機関に引き渡されます。また使うときは、医療機関で登録し直してください。
failure-TZ-H11-title = 登録取り消しの証明が正しくありません
failure-TZ-H11-do = 何も消していません。この機械をそのまま保管し、医療機関の管理者に連絡してください。
failure-TZ-H12-title = この機械の証明書の期限が切れ、更新が断られました
failure-TZ-H12-do = 医療機関の管理者に連絡してください。記録は残っています。届いたあとで、登録をやり直します。
failure-TZ-P01-title = 登録用のQRコードが正しくありません
failure-TZ-P01-do = 医療機関の画面に出ているQRコードを、もう一度読み取ってください。
failure-TZ-P02-title = 登録の時間がすぎました
failure-TZ-P02-do = 医療機関の画面で新しいQRコードを出して、もう一度読み取ってください。
failure-TZ-P03-title = このQRコードは、別の機械がもう使っています
failure-TZ-P03-do = 心あたりがなければ、その登録を断ってください。新しいQRコードでやり直してください。
failure-TZ-P04-title = 6けたの数字が合いません
failure-TZ-P04-do = この登録は終わりました。医療機関の画面で新しいQRコードを出して、やり直してください。つぎは、この機械に出ている数字をそのまま入れてください。
failure-TZ-P05-title = 医療機関が、この機械の登録を断りました
failure-TZ-P05-do = 医療機関の管理者に確かめて、新しいQRコードでやり直してください。
failure-TZ-P06-title = この機械は、まだ医療機関に登録されていません
failure-TZ-P06-do = 医療機関の画面にQRコードを出してもらい、この機械を登録してください。
failure-TZ-P07-title = まだ医療機関に届いていない訪問の記録があります
failure-TZ-P07-do = 書きかけの訪問を終わらせるか、やめてください。「今すぐ送る」をえらび、すべて受付済みになってから、もう一度登録してください。
failure-TZ-S01-title = この機械の空きが足りません
failure-TZ-S01-do = いらないものを消して空きを作り、もう一度やってみてください。前に保存したものは残っています。
failure-TZ-S02-title = 新しいアプリで作られたデータです
failure-TZ-S02-do = アプリを新しくしてください。データには何もしていません。
failure-TZ-S03-title = データがこわれていて読めません
failure-TZ-S03-do = 別の場所に写しを取り、元のまま残しました。消さずに、医療機関の管理者に知らせてください。
failure-TZ-S04-title = 今はデータを読み書きできません
failure-TZ-S04-do = 少し待って、もう一度やってみてください。何度もおきるときは、機械の電源を入れ直してください。
failure-TZ-S05-title = 空き容量が残りわずかです
failure-TZ-S05-do = 不要なファイルを消して、空きを増やしてください。Tazune のフォルダーの中は消さないでください。
failure-TZ-K01-title = 鍵の入れものが閉じています
failure-TZ-K01-do = この機械の画面のロックを解くか、もう一度サインインしてください。
failure-TZ-K02-title = 鍵をふつうのファイルに置くことは、許されていません
failure-TZ-K02-do = 試すだけのときは、--insecure-file-keys を付けて始めてください。患者さんのデータには使わないでください。
failure-TZ-K03-title = この機械の鍵がないか、こわれています
failure-TZ-K03-do = 医療機関の管理者に知らせて、この機械を登録し直してください。封をした記録は残っています。
failure-TZ-K04-title = この機械に、鍵の入れものがありません
failure-TZ-K04-do = デスクトップの画面でサインインしてから、スマートフォンなら画面ロックを設定してから、もう一度ためしてください。続くときは、医療機関の管理者に知らせてください。パソコンには鍵の入れもの（Secret Service）が要ります。
failure-TZ-K05-title = 鍵の入れものが、こたえません
failure-TZ-K05-do = 鍵の入れものを開く画面が出ているときは、開いてから、もう一度ためしてください。続くときは、この機械を起動し直してください。封をした記録は残っています。
failure-TZ-D01-title = 開けられない記録が届きました
failure-TZ-D01-do = 記録は別に取ってあります。送った機械の登録と、医療機関の鍵を確かめてください。
failure-TZ-D02-title = 結果を置くフォルダに書けません
failure-TZ-D02-do = フォルダの場所、書きこみの許可、空きを見てください。直れば、待っている記録を自動で書きます。
failure-TZ-D03-title = 医療機関の受け取りプログラムが動いていません
failure-TZ-D03-do = tazune-hub serve を始めてから、もう一度やってみてください。
failure-TZ-D04-title = 国のシステムが、この機械を登録しませんでした
failure-TZ-D04-do = 医療機関コードと登録用の合言葉を確かめて、もう一度登録してください。
failure-TZ-D05-title = 設定が足りないか、正しくありません
failure-TZ-D05-do = 表示された項目の設定を直して、もう一度始めてください。
failure-TZ-D06-title = 監査の記録がつながっていません
failure-TZ-D06-do = データベースに手を加えず、写しを取り、導入業者と責任者に伝えてください。
failure-TZ-D07-title = サービスとして動かせません
failure-TZ-D07-do = 管理者の権限で、もう一度やってみてください。
failure-TZ-D08-title = 指定された端末や記録がないか、その決定はできません
failure-TZ-D08-do = 名前と今の状態を一覧で確かめてください。
failure-TZ-B01-title = アプリの中の部品の版が合っていません
failure-TZ-B01-do = アプリを消さずに、入手先から上書きで入れ直してください。消さなければ、保存済みの記録は残ります。続く場合は、医院の管理者に伝えてください。

## 送る状態（どの機械でも同じ言葉）
state-draft = 下書き
state-sealed = 保存済み(未送信)
state-sending = 送信中
state-received = 送信済み
state-accepted = 受付済み
state-purged = 消去済み
state-quarantined = 要確認
queue-count = { $state } { $count }件
queue-record = { $state }（{ $at } から）
queue-revoked-destroying = この機械の登録は取り消されました（{ $at }）。下書きと職員の鍵を消しています。
queue-revoked-handing-in = この機械の登録は取り消されました（{ $at }）。封をした記録を医療機関に引き渡しています。
queue-revoked-closing = この機械の登録は取り消されました（{ $at }）。引き渡しは終わり、最後の鍵を消しています。
queue-revoked-finished = この機械の登録は取り消されました（{ $at }）。引き渡しも鍵の消去も終わりました。登録し直せます。
queue-last-success = 最後に送れた日時: { $at }
queue-never = まだ一度も送れていません。
queue-last-failure = 最後の失敗:
insecure-keys = 注意: 鍵をふつうのファイルに置いています（--insecure-file-keys）。患者さんのデータには使わないでください。

## パソコンの道具 tazune
tool-choose = 番号を入れて Enter を押してください
tool-not-offered = その番号は、今はえらべません。
tool-pin-entry = 暗証番号（画面には出ません。Esc でもどります）
tool-pin-malformed = 暗証番号は4けたの数字です。まだカードには送っていません。
tool-slot = 仮想カードのつなぎ先: { $address }
tool-card-malformed = --card は pcsc、pcsc:名前の一部、virtual:127.0.0.1:ポート のどれかで書いてください。
tool-reader = 読み取り機: { $name }
tool-reader-chosen = 読み取り機: { $name }（これを使います）
tool-card-none = 読み取り機にカードがありません。
tool-card-other = マイナンバーカードではありません。
tool-card-phone = スマートフォンがかざされました。プラスチックのカードを使ってください。
tool-card-my-number = マイナンバーカードです。
tool-card-certificate = 電子証明書: { $phase }、最後の日は { $last }
tool-card-certificate-missing = 電子証明書: ありません
tool-card-certificate-broken = 電子証明書: 読めません
tool-card-tries = 暗証番号: あと{ $left }回
tool-card-locked = 暗証番号: ロックされています
tool-phase-not-yet-valid = まだ使えません
tool-phase-valid = 有効
tool-phase-expiring = 有効（あと3か月以内）
tool-phase-grace = 期限切れ（資格の確認にはまだ使えます）
tool-phase-expired = 期限切れ
tool-issuer-trusted = 発行元: 確かめました
tool-issuer-foreign = 発行元: 知らない発行元です
tool-issuer-unchecked = 発行元: 確かめていません（この機械は医療機関に登録されていません）
tool-no-data = データの置き場所がわかりません。--data でフォルダをえらんでください。
tool-staff-malformed = --staff は、英数字と - _ . で64文字までです。
tool-patient-malformed = 予定の患者は --patient-name、--birth-date（2026-11-21 の形）、--sex（male・female・not-set）をそろえて書いてください。
tool-drafts = 終わっていない訪問があります: { $count }件。つづけるときは tazune visit --resume を使ってください。
tool-draft = 下書き { $id }（{ $at } に保存）
tool-no-draft = つづける訪問がありません。tazune queue で下書きを見られます。
tool-visit-kept = 訪問は終わっていません。入力した内容は下書きに残っています。つづけるときは tazune visit --resume を使ってください。
tool-record = 記録 { $id }: { $state }
tool-send-later = つながったときに、もう一度 tazune queue --send を使ってください。
tool-paste-offer = 医療機関の画面のQRコードの文字（TZ1: で始まります）を貼り付けて、Enter を押してください。
tool-pair-code = この6けたの数字を、医療機関の画面に入れてください。
tool-pair-wait = 医療機関が承認するのを待っています。やめるときは Ctrl-C を押してください。
tool-paired = 登録しました。医療機関: { $institution } この機械: { $device }
tool-cancelled = やめました。
