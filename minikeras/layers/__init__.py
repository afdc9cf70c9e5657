"""The layers, where `keras.layers` has them."""

from minikeras.absent import getattr_for
from minikeras.layers.activations.activation import Activation
from minikeras.layers.activations.elu import ELU
from minikeras.layers.activations.leaky_relu import LeakyReLU
from minikeras.layers.activations.prelu import PReLU
from minikeras.layers.activations.relu import ReLU
from minikeras.layers.activations.softmax import Softmax
from minikeras.layers.attention.additive_attention import AdditiveAttention
from minikeras.layers.attention.attention import Attention
from minikeras.layers.attention.grouped_query_attention import GroupedQueryAttention
from minikeras.layers.attention.multi_head_attention import MultiHeadAttention
from minikeras.layers.convolutional.conv1d import Conv1D
from minikeras.layers.convolutional.conv1d_transpose import Conv1DTranspose
from minikeras.layers.convolutional.conv2d import Conv2D
from minikeras.layers.convolutional.conv2d_transpose import Conv2DTranspose
from minikeras.layers.convolutional.conv3d import Conv3D
from minikeras.layers.convolutional.conv3d_transpose import Conv3DTranspose
from minikeras.layers.convolutional.depthwise_conv1d import DepthwiseConv1D
from minikeras.layers.convolutional.depthwise_conv2d import DepthwiseConv2D
from minikeras.layers.convolutional.separable_conv1d import SeparableConv1D
from minikeras.layers.convolutional.separable_conv2d import SeparableConv2D
from minikeras.layers.core.dense import Dense
from minikeras.layers.core.einsum_dense import EinsumDense
from minikeras.layers.core.embedding import Embedding
from minikeras.layers.core.identity import Identity
from minikeras.layers.core.input_layer import Input, InputLayer
from minikeras.layers.core.masking import Masking
from minikeras.layers.core.wrapper import Wrapper
from minikeras.layers.identifiers import deserialize, serialize
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.layers.merging.add import Add, add
from minikeras.layers.merging.average import Average, average
from minikeras.layers.merging.concatenate import Concatenate, concatenate
from minikeras.layers.merging.dot import Dot, dot
from minikeras.layers.merging.maximum import Maximum, maximum
from minikeras.layers.merging.minimum import Minimum, minimum
from minikeras.layers.merging.multiply import Multiply, multiply
from minikeras.layers.merging.subtract import Subtract, subtract
from minikeras.layers.normalization.batch_normalization import BatchNormalization
from minikeras.layers.normalization.group_normalization import GroupNormalization
from minikeras.layers.normalization.layer_normalization import LayerNormalization
from minikeras.layers.normalization.rms_normalization import RMSNormalization
from minikeras.layers.normalization.spectral_normalization import SpectralNormalization
from minikeras.layers.normalization.unit_normalization import UnitNormalization
from minikeras.layers.pooling.adaptive_average_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
)
from minikeras.layers.pooling.adaptive_max_pooling import (
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from minikeras.layers.pooling.average_pooling1d import AveragePooling1D
from minikeras.layers.pooling.average_pooling2d import AveragePooling2D
from minikeras.layers.pooling.average_pooling3d import AveragePooling3D
from minikeras.layers.pooling.global_average_pooling1d import GlobalAveragePooling1D
from minikeras.layers.pooling.global_average_pooling2d import GlobalAveragePooling2D
from minikeras.layers.pooling.global_average_pooling3d import GlobalAveragePooling3D
from minikeras.layers.pooling.global_max_pooling1d import GlobalMaxPooling1D
from minikeras.layers.pooling.global_max_pooling2d import GlobalMaxPooling2D
from minikeras.layers.pooling.global_max_pooling3d import GlobalMaxPooling3D
from minikeras.layers.pooling.max_pooling1d import MaxPooling1D
from minikeras.layers.pooling.max_pooling2d import MaxPooling2D
from minikeras.layers.pooling.max_pooling3d import MaxPooling3D
from minikeras.layers.preprocessing.category_encoding import CategoryEncoding
from minikeras.layers.preprocessing.discretization import Discretization
from minikeras.layers.preprocessing.normalization import Normalization
from minikeras.layers.preprocessing.rescaling import Rescaling
from minikeras.layers.regularization.activity_regularization import (
    ActivityRegularization,
)
from minikeras.layers.regularization.alpha_dropout import AlphaDropout
from minikeras.layers.regularization.dropout import Dropout
from minikeras.layers.regularization.gaussian_dropout import GaussianDropout
from minikeras.layers.regularization.gaussian_noise import GaussianNoise
from minikeras.layers.regularization.spatial_dropout import (
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from minikeras.layers.reshaping.cropping import Cropping1D, Cropping2D, Cropping3D
from minikeras.layers.reshaping.flatten import Flatten
from minikeras.layers.reshaping.permute import Permute
from minikeras.layers.reshaping.repeat_vector import RepeatVector
from minikeras.layers.reshaping.reshape import Reshape
from minikeras.layers.reshaping.up_sampling import (
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
)
from minikeras.layers.reshaping.zero_padding import (
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from minikeras.layers.rnn.bidirectional import Bidirectional
from minikeras.layers.rnn.gru import GRU
from minikeras.layers.rnn.gru_cell import GRUCell
from minikeras.layers.rnn.lstm import LSTM
from minikeras.layers.rnn.lstm_cell import LSTMCell
from minikeras.layers.rnn.rnn import RNN
from minikeras.layers.rnn.simple_rnn import SimpleRNN
from minikeras.layers.rnn.simple_rnn_cell import SimpleRNNCell
from minikeras.layers.rnn.stacked_rnn_cells import StackedRNNCells
from minikeras.layers.rnn.time_distributed import TimeDistributed

# Keras's second names, and the one that is not the class's own.
GroupQueryAttention = GroupedQueryAttention
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
Convolution3D = Conv3D
Convolution3DTranspose = Conv3DTranspose
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

__getattr__ = getattr_for("layers", __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
