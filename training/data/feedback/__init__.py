"""From the service's record of decisions to labelled tickets."""
