"""What people write about when nothing happens: everyday words of 13 languages, written for this project.

Weather, water, votes and the like are left out, since these are what events are about.
"""

from __future__ import annotations

# Scripts that set no blanks between words.
SPACELESS = frozenset(("ja", "zh", "th"))

WORDS = {
    "en": (
        "morning coffee bread garden window kitchen bicycle music song guitar book library letter friend cousin "
        "dinner apple cheese soup market street corner bench picture camera holiday beach mountain forest bird "
        "dog kitten purple yellow bright quiet lovely tired happy early late again never always maybe tomorrow "
        "yesterday with without about between the and our their this that very really almost finally slowly "
        "together outside"
    ),
    "es": (
        "mañana café pan jardín ventana cocina bicicleta música canción guitarra libro carta amigo prima cena "
        "manzana queso sopa mercado calle esquina banco foto cámara playa montaña bosque pájaro perro gato morado "
        "amarillo tranquilo bonito cansado feliz temprano tarde nunca siempre quizás ayer con sin sobre entre "
        "nuestra muy casi"
    ),
    "de": (
        "Morgen Kaffee Brot Garten Fenster Küche Fahrrad Musik Lied Gitarre Buch Brief Freund Kusine Abendessen "
        "Apfel Käse Suppe Markt Straße Ecke Bank Bild Kamera Urlaub Strand Berg Vogel Hund Katze lila gelb ruhig "
        "schön müde fröhlich früh spät wieder nie immer vielleicht gestern mit ohne über zwischen unser sehr fast "
        "endlich draußen"
    ),
    "fr": (
        "matin café pain jardin fenêtre cuisine vélo musique chanson guitare livre lettre ami cousine dîner pomme "
        "fromage soupe marché rue coin banc photo vacances plage montagne forêt oiseau chien chat violet jaune "
        "calme joli fatigué heureux tôt tard encore jamais toujours demain hier avec sans entre notre très "
        "presque dehors"
    ),
    "pt": (
        "manhã café pão jardim janela cozinha bicicleta música canção violão livro carta amigo prima jantar maçã "
        "queijo sopa mercado rua esquina banco foto férias praia montanha floresta pássaro cachorro gato roxo "
        "amarelo calmo bonito cansado feliz cedo tarde nunca sempre talvez amanhã ontem com sem sobre entre nossa "
        "muito quase"
    ),
    "ar": (
        "صباح قهوة خبز حديقة نافذة مطبخ دراجة موسيقى أغنية كتاب رسالة صديق عشاء تفاحة جبن حساء سوق شارع زاوية "
        "صورة عطلة شاطئ جبل غابة عصفور كلب قطة أصفر هادئ جميل متعب سعيد مبكر متأخر دائما ربما غدا أمس مع بدون بين "
        "جدا"
    ),
    "hi": (
        "सुबह कॉफी रोटी बगीचा खिड़की रसोई साइकिल संगीत गाना किताब चिट्ठी दोस्त खाना सेब पनीर सूप बाजार सड़क कोना "
        "तस्वीर छुट्टी पहाड़ जंगल चिड़िया कुत्ता बिल्ली पीला शांत सुंदर थका खुश जल्दी देर फिर कभी हमेशा शायद आज "
        "हमारा बहुत लगभग"
    ),
    "ja": (
        "朝 コーヒー パン 庭 窓 台所 自転車 音楽 歌 ギター 本 手紙 友達 夕飯 りんご チーズ スープ 通り 角 写真 "
        "休み 森 鳥 犬 猫 紫 黄色 静か きれい 眠い 嬉しい 早い 遅い また いつも たぶん 明日 昨日 とても やっと "
        "ゆっくり 一緒に 外で は が を に"
    ),
    "th": (
        "เช้า กาแฟ ขนมปัง สวน หน้าต่าง ครัว จักรยาน ดนตรี เพลง กีตาร์ หนังสือ จดหมาย เพื่อน แอปเปิล ชีส ซุป ตลาด "
        "ถนน มุม รูปถ่าย วันหยุด ชายหาด ภูเขา ป่า นก หมา แมว สีม่วง สีเหลือง เงียบ สวย เหนื่อย ดีใจ สาย อีก เสมอ "
        "บางที พรุ่งนี้ มาก"
    ),
    "ko": (
        "아침 커피 빵 정원 창문 부엌 자전거 음악 노래 기타 책 편지 친구 저녁 사과 치즈 수프 시장 거리 모퉁이 사진 "
        "휴가 해변 산 숲 새 강아지 고양이 보라색 노란색 조용한 예쁜 피곤한 행복한 일찍 늦게 다시 항상 아마 내일 "
        "어제 함께 아주 거의 드디어"
    ),
    "zh": (
        "早上 咖啡 面包 花园 窗户 厨房 自行车 音乐 歌曲 吉他 书 朋友 晚饭 苹果 奶酪 市场 街角 照片 相机 假期 海滩 "
        "森林 小鸟 小狗 小猫 紫色 黄色 安静 漂亮 疲倦 高兴 很早 很晚 又 总是 也许 明天 昨天 非常 终于 慢慢 一起 "
        "外面 和 的 在"
    ),
    "ru": (
        "утро кофе хлеб сад окно кухня велосипед музыка песня гитара книга письмо друг ужин яблоко сыр суп рынок "
        "улица угол фото отпуск пляж гора лес птица собака кошка жёлтый тихий красивый уставший рано поздно снова "
        "никогда всегда завтра вчера вместе без между наш очень почти наконец"
    ),
    "tr": (
        "sabah kahve ekmek bahçe pencere mutfak bisiklet müzik şarkı gitar kitap mektup arkadaş kuzen akşam elma "
        "peynir çorba pazar sokak köşe fotoğraf tatil plaj dağ orman kuş köpek kedi mor sarı sessiz güzel yorgun "
        "mutlu erken İstanbul ışık yine hiç her belki yarın dün birlikte bizim çok neredeyse nihayet"
    ),
}

# Said by many, about nothing that an event is about.
HASHTAGS = (
    *("MondayMood", "foodie", "NowPlaying", "throwback", "gardening", "kittens", "bookclub", "vélo", "música", "Musik"),
    *(
        "写真",
        "ねこ",
        "커피",
        "เพลง",
        "موسيقى",
        "किताब",
        "кофе",
        "kitap",
        "coffee_time",
        "travel2026",
        "DIY",
        "weekend",
    ),
)
EMOJI = ("😀", "😂", "🎉", "👍🏽", "☕️", "🌻", "👩‍👩‍👧", "🐱", "🎶", "❤️", "…", "!", "!!", "?", "1️⃣", "🇨🇭")
# As X writes them: escaped, and what the writer typed.
ESCAPED = (("&lt;3", "<3"), ("bread &amp; butter", "bread & butter"), ("2 &gt; 1", "2 > 1"), ("&amp;amp;", "&amp;"))

NAMES = (
    *(
        "Mira",
        "Jonas",
        "Lucía",
        "Zoë",
        "Ana Paula",
        "Émile",
        "سلمى",
        "आशा",
        "さくら",
        "ก้อย",
        "지민",
        "小明",
        "Юля",
        "İpek",
    ),
    *("Old Baker", "The Garden Show", "Tom, from Leeds", "🐱 Cat Facts", "Müller & Töchter", "Kit"),
)
SYLLABLES = ("mo", "ra", "ki", "zu", "len", "tam", "bo", "shi", "wol", "pe", "gri", "nu", "dax", "yo", "hem", "qua")
TOWNS = (
    "Leeds",
    "Sevilla",
    "Zürich",
    "Lyon",
    "Recife",
    "القاهرة",
    "जयपुर",
    "札幌",
    "เชียงใหม่",
    "부산",
    "成都",
    "Казань",
    "İzmir",
)
SLUGS = ("garden-show", "best-soup", "music/2026", "book_list", "photos?id=1", "recipes/bread", "cats", "a%20b")
