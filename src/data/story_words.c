/* The words of the stories: nouns, verbs and adjectives by what they can be joined with. */
#include "data/story_rules.h"

static const char *const rules[] = {
    /* people */
    "@girl_name Anna|Lily|Mia|Ella|Rosa|Clara|Nora|Emma|Julia|Sara|Maya|Ivy|Lucy|Alice|Grace|Hanna",
    "@girl_name Olga|Zoe|Ruth|Amy|Eva|Leah|Nina|Molly|Kate|Jane|Vera|Tessa|Daisy|Flora|Helen|Iris",
    "@girl_name Martha|Priya|Yuki|Amina|Lena|Greta|Wendy|Paula|Carmen|Sofia|Irene|Judy|Mei|Elsa",
    "@boy_name Tom|Ben|Max|Leo|Sam|Jack|Noah|Adam|Finn|Paul|Peter|Oscar|Hugo|Felix|Daniel|Simon",
    "@boy_name Jonas|Marco|Luke|Henry|Oliver|Theo|Karl|Anton|Victor|Walter|Martin|David|Eric|Ravi",
    "@boy_name "
    "Omar|Kenji|Pablo|Otto|Arthur|Frank|George|Harry|Jacob|Liam|Nick|Robin|Tim|Will|Yusuf",
    "@town Millbrook|Oakfield|Rivertown|Greenhill|Stonebridge|Maple Bay|Whitecliff|Elmwood",
    "@town Sandhaven|Foxdale|Meadowvale|Harborside|Willow Creek|Northwood|Ashford|Brightwater",
    "@person "
    "farmer|baker|teacher|doctor|sailor|painter|carpenter|gardener|postman|miller|fisherman",
    "@person shepherd|tailor|librarian|shopkeeper|blacksmith|cook|clockmaker|musician|potter",
    "@person bus driver|neighbor|beekeeper|shoemaker|weaver|nurse|pilot|captain|writer|firefighter",
    "@kind_person kind|patient|cheerful|gentle|friendly|clever|wise|generous|polite|merry|quiet",
    "@kind_person honest|thoughtful|careful|brave|helpful|good|busy|proud|modest|hardworking",
    "@feeling_good happy|glad|proud|pleased|relieved|delighted|cheerful|content",
    "@feeling_bad sad|worried|upset|disappointed|unhappy",
    "@feeling_face sad|worried|upset|quiet|pale|tired|unhappy|serious",
    /* animals */
    "@pet cat|dog|kitten|puppy|rabbit|hamster|parrot|pony|goat|turtle|guinea pig|canary",
    "@wild_animal fox|deer|hedgehog|squirrel|owl|badger|hare|mouse|otter|beaver|bear|mole|raccoon",
    "@small_animal hedgehog|duckling|fawn|squirrel|sparrow|rabbit|fox "
    "cub|owl|robin|frog|turtle|hare",
    "@farm_animal cow|horse|sheep|goat|donkey|hen|pig|goose|rooster|duck|calf|ox",
    "@bird sparrow|robin|crow|swallow|owl|blackbird|woodpecker|magpie|dove|seagull|stork|finch",
    "@bug bee|butterfly|beetle|ant|snail|ladybug|grasshopper|spider|cricket|dragonfly",
    /* things */
    "@color red|blue|green|yellow|white|brown|orange|purple|silver|golden|grey|black|pink",
    "@size little|small|big|large|tiny|huge|long|tall|short|wide|narrow",
    "@look old|new|pretty|plain|shiny|dusty|strange|lovely|simple|bright|neat|wooden|broken|heavy",
    "@small_thing key|ball|hat|drum|book|bell|coin|ring|kite|cup|spoon|lamp|basket|button|scarf",
    "@small_thing "
    "pencil|whistle|compass|map|candle|doll|marble|glove|box|bottle|mirror|flute|feather",
    "@small_thing puzzle|ribbon|brush|notebook|stamp|purse|shell|toy boat|toy train|teddy bear|top",
    "@toy ball|kite|doll|drum|puzzle|toy boat|toy train|teddy bear|skipping "
    "rope|sled|scooter|yo-yo",
    "@tool hammer|saw|rake|shovel|ladder|bucket|rope|needle|broom|wheelbarrow|pair of "
    "scissors|nail",
    "@clothes coat|hat|scarf|sweater|jacket|shirt|apron|cap|cloak|raincoat",
    "@furniture table|chair|sofa|bed|desk|shelf|cupboard|bench|stool|wardrobe|chest",
    "@room kitchen|bedroom|attic|cellar|hall|living room|bathroom|pantry|workshop",
    "@vehicle bus|train|bicycle|cart|boat|wagon|car|truck|tram|sailboat|ferry",
    "@material wood|stone|glass|iron|paper|clay|wool|leather|silver|copper|cotton|straw",
    "@instrument flute|drum|violin|guitar|piano|trumpet|horn|harp|accordion",
    /* food */
    "@food bread|soup|cheese|honey|rice|porridge|stew|salad|jam|butter|pancakes|noodles|toast|pie",
    "@fruit apple|pear|plum|cherry|peach|orange|banana|grape|lemon|melon|apricot|fig",
    "@fruits apples|pears|plums|cherries|peaches|oranges|bananas|grapes|apricots|melons|figs|nuts",
    "@vegetables carrots|beans|peas|potatoes|onions|tomatoes|cabbages|pumpkins|beets|turnips",
    "@sweet cake|cookie|muffin|pudding|biscuit|pancake|waffle|bun|honey cake|gingerbread man",
    "@drink milk|tea|water|juice|cocoa|lemonade|cider",
    "@taste sweet|warm|fresh|delicious|juicy|crisp|soft|creamy|salty|sour",
    "@picnic bread|cheese|cake|pie|toast|gingerbread",
    "@load box|basket|ladder|suitcase|sack of flour|bag|trunk|bucket of water",
    "@house_size small|big|little|white|tall|narrow|wooden|yellow|cozy",
    /* nature and places */
    "@place park|market|library|school|bakery|harbor|museum|station|farm|beach|mill|bridge|square",
    "@outdoors forest|meadow|hill|river|lake|beach|field|garden|valley|orchard|path|pond|mountain",
    "@walk_place along the river|through the forest|across the meadow|along the beach|over the "
    "hill",
    "@walk_place through the orchard|around the pond|up the mountain|through the fields|by the "
    "lake",
    "@tree oak|pine|apple tree|birch|willow|maple|chestnut tree|cherry tree|elm|beech",
    "@flowers roses|tulips|daisies|lilies|sunflowers|poppies|violets|bluebells|daffodils",
    "@weather sunny|rainy|windy|cloudy|foggy|snowy|warm|cold|bright|stormy|grey|mild|frosty|hot",
    "@nice_weather sunny|warm|bright|mild|clear|fine|golden|lovely|fresh",
    "@season spring|summer|autumn|winter",
    "@weekday Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "@month January|February|March|April|May|June|July|August|September|October|November|December",
    "@daytime morning|afternoon|evening",
    "@few two|three|four|five|six|seven|eight|nine|ten",
    /* manner and speech */
    "@softly softly|gently|slowly|quietly|carefully|calmly|kindly|patiently",
    "@smiled smiled|laughed|grinned|nodded|clapped {his} hands",
    "@very very|so|quite|rather|really",
    "@fun singing|drawing|reading|swimming|climbing trees|telling jokes|riding {his} bicycle",
    "@fun baking|fishing|dancing|collecting stones|looking at the stars|feeding the birds|painting",
    "@fun building towers|playing chess|making paper boats|running|whistling|watching the clouds",
};

const struct grammar_source story_words = {rules, sizeof rules / sizeof rules[0]};
