import numpy as np, cProfile, pstats
from sklearn_margin import *
from sklearn_margin.solvers import InteriorPoint
r=np.random.default_rng(0); n,d=200_000,50
X=r.normal(size=(n,d)); z=X@r.normal(size=d)+3*r.normal(size=n)
m=QuantileRegressor(quantile=.9,alpha=0,solver=InteriorPoint()); m.fit(X,z)
p=cProfile.Profile(); p.enable(); m.fit(X,z); p.disable()
pstats.Stats(p).sort_stats("tottime").print_stats(22)
