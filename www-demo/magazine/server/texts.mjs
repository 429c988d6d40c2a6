// What the two magazines print. The first paragraphs of a paid piece are free; the rest is sold.

const post = {
  name: "The Farthing Post",
  theme: "post",
  line: "Small money, and what it moves",
  film: { slug: "low-water", title: "Low Water", seed: 1, standfirst: "One tide, from dusk to dawn, on a shore that is drawn while you watch. You pay for the seconds that you see, and nothing while it is paused." },
  almanac: { title: "The Post Almanac", standfirst: "Light and dark for each day of the year, at the latitude of London. A page costs less than the paper it would be printed on.", latitude: 51.5 },
  articles: [
    {
      slug: "the-wren",
      title: "The coin with the wren",
      standfirst: "For seven centuries a quarter of a penny was money. Then it was not worth the trouble.",
      by: "From the cabinet",
      price: 0,
      free: [
        "A farthing was a fourth: the word says no more than that. Cut a silver penny into four along the cross on its back and you held four farthings, and for a long time that was how they were made. Nine hundred and sixty of them came to a pound.",
        "They were small enough to be useful. Bread, a candle, a ballad sheet, a look through somebody’s telescope on a clear night: there were things in the world that cost about as much as a farthing, and people sold them one at a time, because there was a coin to sell them for.",
        "In 1937 the coin was given a wren, the smallest bird that most of its users would know. It hopped across the back of every farthing until the end of 1960, when the last ones stopped being money. A farthing cost more to handle than it was worth. That was the whole of the argument, and it was true.",
        "What went with it was not the metal but the price. Once the smallest payment that is worth the trouble is a penny, there are no things for a farthing. They do not become a penny’s worth. They are bundled into something larger, or given away with advertisements, or not made.",
        "The web began on the far side of that line. A card payment costs the shop some tens of cents before anything is sold, so nothing on the web costs a tenth of a cent, and the page that would be worth a tenth of a cent to you comes with a subscription, a wall, or forty companies who would like to know where you have been.",
        "This magazine is an experiment on the near side. Some pages of it cost a fraction of a cent. You allow it a little once; after that, pages simply open. If you stop reading, what you allowed and did not use goes back to you.",
      ],
    },
    {
      slug: "price-of-a-page",
      title: "The price of one page",
      standfirst: "A shelf of arguments about paying for words, from the rental library to the meter.",
      by: "Essay",
      price: 4,
      free: [
        "There was never one way to pay for reading. There were at least five, and each made its own kind of book.",
        "The rental library lent a novel in three volumes, a volume at a time, so that three households could have it at once; so novels had three volumes, and something had to happen at the end of each.",
      ],
      paid: [
        "The newspaper sold a day. It did not matter which page you wanted, you took all of it, and the page that you did not want paid for the one that you did. This is often told as a story about advertising. It was first a story about string: a day was what could be tied in a bundle and thrown off a train.",
        "The subscription sold a habit. It is the best price there is for somebody who comes back every week and the worst for somebody who came once, and since the second kind is far more numerous, every subscription is a machine for turning strangers away politely.",
        "The advertisement sold the reader. It was quick, it asked nothing, and it set a price on attention that had no room in it for trust. A page that is paid by the glance is written for the glance.",
        "The gift, the oldest of them, still works, and always will, for what people would write anyway.",
        "What none of them could do was the plainest thing: to sell one page to one person who wants it, for about what it is worth. Not because nobody would pay, but because the paying cost more than the page. A price has a floor, and the floor is the cost of being paid.",
        "Lower the floor and other things become possible to make. A correction that is worth a hundredth of a cent to everyone who quoted the mistake. A table that somebody keeps exact for nineteen years. A single good paragraph. The second half of this essay, which you have now bought for a fraction of a cent, from somebody who does not know who you are.",
        "It is no cure for anything. People will sell rubbish by the paragraph as they sold it by the volume. But they will have to sell it to you, a paragraph at a time, and you may stop at any of them.",
      ],
    },
  ],
};

const water = {
  name: "Slow Water",
  theme: "water",
  line: "A quarterly of tides, rivers and waiting",
  film: { slug: "night-crossing", title: "Night Crossing", seed: 7, standfirst: "The same sea, four hours out. A light on the far side, and no hurry. By the second, as far as you go." },
  almanac: { title: "The Water Almanac", standfirst: "Light, dark and the moon for each day, far north, where summer has no night to speak of.", latitude: 63.4 },
  articles: [
    {
      slug: "tide-tables",
      title: "How to read a tide table",
      standfirst: "Four numbers a day, and what they leave out.",
      by: "Practice",
      price: 0,
      free: [
        "A tide table gives you four numbers for most days: two times of high water and two of low, and a height for each. It looks like a timetable. It is a forecast, and the difference will wet your feet sooner or later.",
        "The times move on by about fifty minutes a day, because the moon does. If it was high at noon today, expect it at ten to one tomorrow. After a week the morning that was good for walking out has become the morning that is not.",
        "The heights breathe with the moon’s phase. Near full and new moon the highs are higher and the lows lower: springs. Near the quarters everything keeps to the middle: neaps. A channel that you crossed dry at springs may not empty at all a week later.",
        "Between the numbers, use twelfths. In the first hour after the turn the water moves one twelfth of its whole way, in the second two, in the third three, in the fourth three, then two, then one. Half of all the movement is in the middle two hours. That is when rocks vanish.",
        "What the table leaves out is the weather. A low barometer lifts the sea by about a centimetre for each hectopascal; a wind that has blown on the shore since yesterday holds the water in. The table was computed years ago by someone who did not know about today.",
      ],
    },
    {
      slug: "slack",
      title: "Slack",
      standfirst: "Twice between the tides nothing moves. Some work can be done only then.",
      by: "Long read",
      price: 4,
      free: [
        "There are minutes between flood and ebb when the strait lies as if it had been forgotten. Weed hangs straight down. A bottle that has travelled since breakfast stops beside the pier and turns around once.",
        "The people who work here call it slack, and arrange their days by it.",
      ],
      paid: [
        "Divers go down at slack. Ferries that are hard to bring alongside are brought alongside. The man who looks after the cable sits in his boat above it with the engine off, because only now does a line with a weight on it point straight to the bottom.",
        "It never comes when the table says. High water is when the level stops rising; slack is when the stream stops running; and the two can lie an hour and a half apart, since the water in a strait answers not to its own level but to the difference between two seas at its ends. The level may be at its highest while the whole of it still slides north.",
        "How long it lasts depends on the moon. At neaps you may have twenty-five minutes. At springs the stream goes from four knots one way to four knots the other, and between them there is a pause in which you could boil an egg, if you like them soft.",
        "You learn it by its signs. The buoys stand up. The small whirlpools at the north end, which have been wandering along the wall for hours, come loose and drift out and close. There is a sound, too, or rather there was one: you notice that it has stopped.",
        "Then the weed at the foot of the ladder moves, by a hand’s breadth, the other way.",
      ],
    },
  ],
};

export const MAGAZINES = { post, water };
