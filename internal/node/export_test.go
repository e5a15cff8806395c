package node

// What tests outside look at.
var (
	MostShares = mostShares
	SharesNews = sharesNews
)
