"""The paper's figures and claims: ensembles of networks, judged and put into numbers."""
